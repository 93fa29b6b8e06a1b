use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// What the server says to `lines`, all sent at once, as the codes of its replies.
async fn codes(sink: &Sink, lines: &[u8]) -> Vec<String> {
    let mut stream = TcpStream::connect(sink.address()).await.unwrap();
    stream.write_all(lines).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    let last = |line: &&str| line.as_bytes().get(3) == Some(&b' ');
    said.lines()
        .filter(last)
        .map(|line| line[..3].to_owned())
        .collect()
}

async fn sink() -> Sink {
    Sink::listen(([127, 0, 0, 1], 0).into()).await.unwrap()
}

#[tokio::test]
async fn a_mail_is_kept_byte_for_byte() {
    let sink = sink().await;
    let said = codes(
        &sink,
        b"EHLO me\r\nMAIL FROM:<a@b.test> SIZE=20\r\nRCPT TO:<c@d.test>\r\nDATA\r\nSubject: x\r\n\r\n..\r\n.a\xff\r\n.\r\nQUIT\r\n",
    )
    .await;
    assert_eq!(said, ["220", "250", "250", "250", "354", "250", "221"]);
    let mails = sink.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].raw, b"Subject: x\r\n\r\n.\r\na\xff\r\n");
    assert_eq!(
        (mails[0].from.as_str(), mails[0].to.as_slice()),
        ("a@b.test", &["c@d.test".to_owned()][..])
    );
}

#[tokio::test]
async fn what_comes_out_of_order_is_refused_by_the_right_code() {
    let sink = sink().await;
    let said = codes(
        &sink,
        b"MAIL FROM:<a@b.test>\r\nEHLO\r\nHELO me\r\nRCPT TO:<c@d.test>\r\nMAIL a@b.test\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\n\
          RCPT TO:<>\r\nDATA\r\nAUTH PLAIN\r\nTURN\r\n\xff\r\nRSET\r\nMAIL FROM:<> SIZE=99999999\r\nNOOP\r\nQUIT\r\n",
    )
    .await;
    assert_eq!(
        said,
        [
            "220", "503", "501", "250", "503", "501", "250", "503", "501", "503", "502", "500",
            "500", "250", "552", "250", "221"
        ]
    );
    assert_eq!(sink.count(), 0);
}

#[tokio::test]
async fn a_mail_that_breaks_off_is_not_kept() {
    let sink = sink().await;
    codes(
        &sink,
        b"EHLO me\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nhalf",
    )
    .await;
    assert_eq!(sink.count(), 0);
}

#[tokio::test]
async fn trouble_comes_once() {
    let sink = sink().await;
    sink.trouble(Trouble::Refuse(450));
    sink.trouble(Trouble::HangUpAfterDot);
    let mail = b"EHLO me\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nhi\r\n.\r\n";
    assert_eq!(codes(&sink, mail).await[3..], ["450", "503", "500", "500"]);
    assert_eq!(codes(&sink, mail).await[3..], ["250", "354"]);
    assert_eq!(codes(&sink, mail).await[3..], ["250", "354", "250"]);
    assert_eq!(sink.count(), 2);
}
