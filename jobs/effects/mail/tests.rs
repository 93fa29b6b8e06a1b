use chrono::DateTime;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;

/// What the scripted server does at one point of a conversation.
#[derive(Clone, Copy)]
enum Do {
    /// Waits for a line that starts so, then says that.
    On(&'static str, &'static str),
    /// Reads up to the final dot, then says that.
    Dot(&'static str),
    /// Reads to the end of the headers and closes.
    CloseInBody,
    /// Reads up to the final dot and closes.
    CloseAfterDot,
    /// Says nothing until the client has gone.
    Silence,
}

const HELLO: Do = Do::On("EHLO", "250 test\r\n");
const MAIL: Do = Do::On("MAIL FROM:<leadmill@example.com>", "250 ok\r\n");
const RCPT: Do = Do::On("RCPT TO:<ada@example.test>", "250 ok\r\n");
const DATA: Do = Do::On("DATA", "354 go on\r\n");
const QUEUED: Do = Do::Dot("250 queued as 4711\r\n");

/// A server whose every conversation is one of `scripts`, in order; gives what it was sent.
async fn server(scripts: Vec<Vec<Do>>) -> (u16, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let said = tokio::spawn(async move {
        let mut said = Vec::new();
        for script in scripts {
            let (stream, _) = listener.accept().await.unwrap();
            converse(stream, &script, &mut said).await;
        }
        said
    });
    (port, said)
}

async fn converse(stream: TcpStream, script: &[Do], said: &mut Vec<String>) {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 test\r\n").await.unwrap();
    for step in script {
        match step {
            Do::On(expected, reply) => {
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                said.push(line.trim_end().to_owned());
                assert!(line.starts_with(expected), "{line:?} is not {expected:?}");
                stream.write_all(reply.as_bytes()).await.unwrap();
            }
            Do::Dot(reply) => {
                said.push(read_until(&mut stream, ".\r\n").await);
                stream.write_all(reply.as_bytes()).await.unwrap();
            }
            Do::CloseInBody => {
                read_until(&mut stream, "\r\n").await;
                return;
            }
            Do::CloseAfterDot => {
                said.push(read_until(&mut stream, ".\r\n").await);
                return;
            }
            Do::Silence => {
                let mut rest = Vec::new();
                // The end is an error if the client has closed with something unread.
                let _ = stream.read_to_end(&mut rest).await;
            }
        }
    }
}

/// Everything up to and without the line `end`.
async fn read_until(stream: &mut BufReader<TcpStream>, end: &str) -> String {
    let mut read = String::new();
    loop {
        let mut line = String::new();
        let length = stream.read_line(&mut line).await.unwrap();
        if length == 0 || line == end {
            return read;
        }
        read.push_str(&line);
    }
}

fn mailer(port: u16, change: impl FnOnce(&mut MailSettings)) -> Mailer {
    let mut settings = MailSettings {
        url: format!("smtp://127.0.0.1:{port}?tls=none").into(),
        from: "Leadmill <leadmill@example.com>".into(),
        step_timeout: Duration::from_secs(5),
        ..MailSettings::default()
    };
    change(&mut settings);
    Mailer::new(settings).unwrap()
}

fn letter() -> Letter {
    Letter {
        message: MessageId::from(uuid::Uuid::from_u128(7)),
        message_id: "<7@example.com>".into(),
        to_name: Some("Ada".into()),
        to: "ada@example.test".into(),
        subject: "A new lead".into(),
        text: "Hello\n.\nA line of one dot is above.\n".into(),
        html: "<p>Hello</p>".into(),
        in_reply_to: None,
        references: Vec::new(),
        date: DateTime::from_timestamp(1_900_000_000, 0).unwrap(),
    }
}

async fn send(mailer: &Mailer) -> HandOff {
    match mailer.begin(&letter()).await {
        Ok(ready) => ready.hand_off().await,
        Err(answer) => answer,
    }
}

/// The outcome in one line.
fn told(outcome: &HandOff) -> String {
    match outcome {
        HandOff::Sent { code, reply } => format!("sent {code} {reply}"),
        HandOff::Deferred { code, reply } => format!("deferred {code} {reply}"),
        HandOff::Rejected { code, reply } => format!("rejected {code} {reply}"),
        HandOff::Impossible(why) => format!("impossible: {why}"),
        HandOff::NotDelivered(error) => format!("not delivered: {error}"),
        HandOff::Unknown(error) => format!("unknown: {error}"),
    }
}

#[tokio::test]
async fn a_mail_is_handed_off_and_its_lone_dots_are_stuffed() {
    let (port, said) = server(vec![vec![HELLO, MAIL, RCPT, DATA, QUEUED]]).await;

    let outcome = send(&mailer(port, |_| {})).await;

    assert_eq!(told(&outcome), "sent 250 queued as 4711");
    let said = said.await.unwrap();
    assert!(
        said.last()
            .unwrap()
            .contains("\r\n..\r\nA line of one dot is above.\r\n")
    );
}

#[tokio::test]
async fn a_connection_is_used_again_and_replaced_when_it_has_gone() {
    let (port, said) = server(vec![
        vec![HELLO, MAIL, RCPT, DATA, QUEUED, MAIL, RCPT, DATA, QUEUED],
        vec![HELLO, MAIL, RCPT, DATA, QUEUED],
    ])
    .await;
    let mailer = mailer(port, |_| {});

    for _ in 0..3 {
        assert_eq!(told(&send(&mailer).await), "sent 250 queued as 4711");
    }

    let said = said.await.unwrap();
    let greetings = said.iter().filter(|line| line.starts_with("EHLO"));
    assert_eq!(greetings.count(), 2);
}

#[tokio::test]
async fn a_servers_no_is_told_from_a_broken_conversation_on_either_side_of_the_dot() {
    let quit = Do::On("QUIT", "221 bye\r\n");
    for (script, expected) in [
        (
            vec![
                HELLO,
                MAIL,
                Do::On("RCPT", "450 4.2.1 mailbox busy\r\n"),
                quit,
            ],
            "deferred 450 4.2.1 mailbox busy",
        ),
        (
            vec![
                HELLO,
                MAIL,
                Do::On("RCPT", "550-5.1.1 no such\r\n550 5.1.1 person\r\n"),
                quit,
            ],
            "rejected 550 5.1.1 no such person",
        ),
        (
            vec![HELLO, Do::On("MAIL", "421 too busy\r\n"), quit],
            "deferred 421 too busy",
        ),
        (
            vec![
                HELLO,
                Do::On("MAIL", "530 5.7.0 authentication required\r\n"),
                quit,
            ],
            "not delivered: the server wants us to sign in: 5.7.0 authentication required",
        ),
        (
            vec![HELLO, MAIL, RCPT, Do::On("DATA", "451 try later\r\n"), quit],
            "deferred 451 try later",
        ),
        (
            vec![HELLO, MAIL, RCPT, Do::On("DATA", "250 eh\r\n")],
            "not delivered: the server answered DATA with 250",
        ),
        (
            vec![HELLO, MAIL, RCPT],
            "not delivered: the connection broke",
        ),
        (
            vec![],
            "not delivered: could not connect to 127.0.0.1:PORT (None)",
        ),
        (
            vec![HELLO, MAIL, RCPT, DATA, Do::Dot("452 4.3.1 disk full\r\n")],
            "deferred 452 4.3.1 disk full",
        ),
        (
            vec![
                HELLO,
                MAIL,
                RCPT,
                DATA,
                Do::Dot("554 5.7.1 looks like spam\r\n"),
            ],
            "rejected 554 5.7.1 looks like spam",
        ),
        (
            vec![HELLO, MAIL, RCPT, DATA, Do::CloseAfterDot],
            "unknown: no reply to the end of the message",
        ),
        (
            vec![HELLO, MAIL, RCPT, DATA, Do::Dot("354 what?\r\n")],
            "unknown: the server's last word was 354",
        ),
        (
            vec![HELLO, MAIL, RCPT, DATA, Do::Dot("no reply at all\r\n")],
            "unknown: no reply to the end of the message",
        ),
    ] {
        let (port, said) = server(vec![script]).await;
        let outcome = send(&mailer(port, |_| {})).await;
        let expected = expected.replace("PORT", &port.to_string());
        assert_eq!(told(&outcome), expected);
        said.await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_dot_can_leave_is_no_unknown() {
    let (port, said) = server(vec![vec![HELLO, MAIL, RCPT, DATA, Do::CloseInBody]]).await;
    let mailer = mailer(port, |_| {});
    // More than the sockets between us hold, so that the write fails before the dot's turn.
    let letter = Letter {
        text: "x".repeat(24 << 20),
        ..letter()
    };

    let ready = mailer
        .begin(&letter)
        .await
        .map_err(|error| told(&error))
        .unwrap();
    let outcome = ready.hand_off().await;

    assert_eq!(told(&outcome), "not delivered: could not send the message");
    said.await.unwrap();
}

#[tokio::test]
async fn a_silent_server_is_waited_for_before_the_dot_and_much_longer_after_it() {
    let impatient = |settings: &mut MailSettings| {
        settings.step_timeout = Duration::from_millis(100);
        settings.reply_timeout = Duration::from_millis(150);
    };
    for (script, expected) in [
        (
            vec![HELLO, MAIL, Do::Silence],
            "not delivered: the server did not answer the recipient within 100ms",
        ),
        (
            vec![HELLO, MAIL, RCPT, DATA, Do::Silence],
            "unknown: no reply within 150ms",
        ),
    ] {
        let (port, said) = server(vec![script]).await;
        assert_eq!(told(&send(&mailer(port, impatient)).await), expected);
        said.await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_recognises_messages_is_told_their_id_and_may_be_sent_one_again() {
    let (port, said) = server(vec![vec![HELLO, MAIL, RCPT, DATA, QUEUED]]).await;
    let mailer = mailer(port, |settings| {
        settings.idempotency_header = Some("Resend-Idempotency-Key".into());
    });

    send(&mailer).await;

    let said = said.await.unwrap();
    let header = "Resend-Idempotency-Key: 00000000-0000-0000-0000-000000000007\r\n";
    assert!(said.last().unwrap().contains(header));
    assert_eq!(mailer.on_unknown(), OnUnknown::Resend);
}

#[tokio::test]
async fn reports_are_asked_of_a_server_that_makes_them() {
    let offers = "250-test\r\n250 DSN\r\n";
    let (port, said) = server(vec![vec![
        Do::On("EHLO", offers),
        Do::On("EHLO", offers),
        MAIL,
        RCPT,
        DATA,
        QUEUED,
    ]])
    .await;

    send(&mailer(port, |settings| settings.delivery_reports = true)).await;

    let said = said.await.unwrap();
    assert_eq!(
        &said[2..4],
        [
            "MAIL FROM:<leadmill@example.com> RET=HDRS ENVID=00000000-0000-0000-0000-000000000007",
            "RCPT TO:<ada@example.test> NOTIFY=FAILURE,DELAY",
        ]
    );
}

#[tokio::test]
async fn no_password_is_sent_to_a_server_that_cannot_encrypt() {
    let (port, said) = server(vec![vec![HELLO, Do::Silence]]).await;
    let mailer = mailer(port, |settings| {
        settings.url = format!("smtp://me:secret@127.0.0.1:{port}").into();
    });

    let outcome = send(&mailer).await;

    assert_eq!(
        told(&outcome),
        "not delivered: could not encrypt the connection"
    );
    assert_eq!(said.await.unwrap().len(), 1);
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_by_their_name() {
    let refused = |change: &dyn Fn(&mut MailSettings)| {
        let mut settings = MailSettings::default();
        change(&mut settings);
        let wrong = Mailer::new(settings).unwrap_err();
        let wrong = wrong
            .iter()
            .map(|error| format!("{}: {error}", error.key()));
        wrong.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(
        refused(&|settings| settings.from = "me".into()),
        "mail.from: me is not a name with an address like Leadmill <leadmill@example.com>"
    );
    assert_eq!(
        refused(&|settings| settings.idempotency_header = Some("X\r\nBcc".into())),
        "mail.idempotency_header: X\r\nBcc is not the name of a header"
    );
    assert_eq!(
        refused(&|settings| settings.url = "mail.example.com".into()),
        "mail.url: not an address like smtp://user:password@mail.example.com:587"
    );
    assert_eq!(
        refused(&|settings| {
            settings.url = "mail.example.com".into();
            settings.from = "me".into();
        }),
        "mail.url: not an address like smtp://user:password@mail.example.com:587\n\
         mail.from: me is not a name with an address like Leadmill <leadmill@example.com>"
    );
}
