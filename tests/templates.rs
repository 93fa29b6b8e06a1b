//! Every mail, rendered from its sample: what a rep reads, in text and in HTML.

use insta::assert_snapshot;
use jobs::effects::messages::Messages;

#[test]
fn every_mail_reads_well() {
    let messages = Messages::load(None).unwrap();
    for key in Messages::keys() {
        let mail = messages.render_sample(key).unwrap();
        assert_snapshot!(
            format!("{key}_text"),
            format!("Subject: {}\n\n{}", mail.subject, mail.text)
        );
        assert_snapshot!(format!("{key}_html"), mail.html);
    }
}
