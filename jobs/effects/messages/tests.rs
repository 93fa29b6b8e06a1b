use serde_json::json;

use super::*;

fn hostile() -> LeadScored {
    let mut message = LeadScored::sample();
    message.lead.name = "{{ 7 * 7 }} <script>alert(1)</script>\nBcc: all@example.test".into();
    message.lead.company = Some("</mj-text><mj-raw><b>&lt;i&gt; & {% raw %}</mj-raw>".into());
    message.lead.email = Some("a\"onclick=x@example.test".into());
    message.lead.message = Some("{% include 'mail/layout.txt' %}\n]]></mjml>\u{1}".into());
    message
}

fn render<M: Message>(message: &M) -> Rendered {
    let messages = Messages::load(None).unwrap();
    let data = serde_json::to_value(message).unwrap();
    messages.render(M::KEY, &data).unwrap()
}

#[test]
fn what_a_lead_wrote_is_shown_and_never_run() {
    let mail = render(&hostile());

    assert_eq!(
        mail.subject.split(',').next(),
        Some("New lead: {{ 7 * 7 }} <script>alert(1)</script> Bcc: all@example.test")
    );
    assert!(mail.text.contains("> {% include 'mail/layout.txt' %}"));
    for written in [
        "{{ 7 * 7 }} &lt;script&gt;alert(1)&lt;/script&gt;",
        "&lt;/mj-text&gt;&lt;mj-raw&gt;&lt;b&gt;&amp;lt;i&amp;gt; &amp; {% raw %}&lt;/mj-raw&gt;",
        "mailto:a%22onclick%3Dx@example.test",
        "a&quot;onclick=x@example.test",
        "]]&gt;&lt;/mjml&gt;",
    ] {
        assert!(
            mail.html.contains(written),
            "{written} is not in {}",
            mail.html
        );
    }
    for run in ["<script", "<b>", "\"onclick", "\u{1}"] {
        assert!(!mail.html.contains(run), "{run}");
    }
}

#[test]
fn a_lead_of_whom_little_is_known_makes_a_whole_mail() {
    let mut message = LeadScored::sample();
    message.lead.job_title = None;
    message.lead.company = None;
    message.lead.email = None;
    message.lead.phone = None;
    message.lead.message = None;
    message.lead.factors.clear();

    let mail = render(&message);

    assert_eq!(mail.subject, "New lead: Grace Hopper (56, warm)");
    assert!(!mail.text.contains("none"), "{}", mail.text);
    assert!(!mail.html.contains("none<"), "{}", mail.html);
}

#[test]
fn nothing_is_fetched_by_opening_a_mail() {
    let messages = Messages::load(None).unwrap();
    for key in Messages::keys() {
        let html = messages.render_sample(key).unwrap().html;
        for fetched in ["src=", "url(", "@import", "<link"] {
            assert!(!html.contains(fetched), "{key}: {fetched}");
        }
    }
}

#[test]
fn data_that_are_not_a_messages_are_refused() {
    let messages = Messages::load(None).unwrap();
    let refused = |key, data| messages.render(key, &data).unwrap_err().to_string();

    assert_eq!(
        refused("no_such", json!({})),
        "no message is called no_such"
    );
    assert_eq!(
        refused("lead_scored", json!({"org_name": "x"})),
        "the data of lead_scored are not understood"
    );
}

/// What loading says when `file` under the folder of templates holds `text`.
fn told(file: &str, text: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    let errors = Messages::load(Some(dir.path())).err().unwrap_or_default();
    let root = dir.path().display().to_string();
    errors
        .iter()
        .map(|error| error.to_string().replace(&root, "DIR"))
        .collect()
}

#[test]
fn a_template_that_cannot_be_used_is_told_by_file_and_line() {
    let told: Vec<_> = [
        ("mail/lead_scored/subject.txt", "New\n{% if lead.name %}"),
        ("mail/lead_scored/subject.txt", "{# nothing #}"),
        ("mail/lead_scored/body.txt", "one\ntwo\n{{ lead.nmae }}"),
        ("mail/lead_scored/body.txt", "{{ lead.name | shout }}"),
        (
            "mail/lead_scored/body.txt",
            "{% extends 'mail/nowhere.txt' %}",
        ),
        (
            "mail/lead_scored/body.txt",
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
        ),
        (
            "mail/lead_scored/body.mjml",
            "<mjml>\n<mj-body>\n<mj-nonsense></mj-nonsense>\n</mj-body></mjml>",
        ),
        ("mail/lead_scored/body.mjml", "<mjml><mj-body><mj-section>"),
        (
            "mail/provider_refused/body.mjml",
            "<mjml>\n<mj-body>\n<mj-text width=>{{ answer }}</mj-text></mj-body></mjml>",
        ),
        ("mail/layout.txt", "{{ reader_nam }}"),
    ]
    .into_iter()
    .map(|(file, text)| told(file, text).join("\n"))
    .collect();

    insta::assert_snapshot!(told.join("\n\n"), @r#"
    DIR/mail/lead_scored/subject.txt:2: syntax error: unexpected end of input, expected end of block

    DIR/mail/lead_scored/subject.txt: the subject is empty

    DIR/mail/lead_scored/body.txt:3: undefined value: `lead.nmae` is undefined

    DIR/mail/lead_scored/body.txt:1: unknown filter: filter shout is unknown

    DIR/mail/lead_scored/body.txt:1: template not found: template "mail/nowhere.txt" does not exist

    DIR/mail/lead_scored/body.txt:1: it never ends

    DIR/mail/lead_scored/body.mjml as filled:3: unknown element <mj-nonsense>

    DIR/mail/lead_scored/body.mjml as filled:1: unexpected end of stream in root template

    DIR/mail/provider_refused/body.mjml as filled:3: unable to parse next template in root template

    DIR/mail/layout.txt:1: undefined value: `reader_nam` is undefined
    "#);
}

#[test]
fn a_file_of_ones_own_replaces_the_built_in_one_and_leaves_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("mail/lead_scored");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("subject.txt"), "Look, {{ lead.name }}!").unwrap();

    let messages = Messages::load(Some(dir.path())).unwrap();

    let mail = messages.render_sample("lead_scored").unwrap();
    assert_eq!(mail.subject, "Look, Grace Hopper!");
    assert!(mail.text.contains("A new lead came in and is yours."));
}
