//! What strangers write about themselves reaches people as text and as nothing else.

use domain::submission::Submission;

use super::*;

#[tokio::test]
async fn whatever_a_name_says_the_mail_about_it_goes_to_whom_it_was_meant_for() {
    let (world, org, _) = staffed().await;
    let names = [
        "Eve\r\nBcc: all@example.test\r\n\r\nhello",
        "Eve\nTo: all@example.test",
        "{{ \"ev\" ~ \"aluated\" }}{% for x in range(999999999) %}{{ news_url }}{% endfor %}",
        "{% include 'mail/layout.txt' %}",
        "<script>alert(1)</script><img src=x onerror=alert(1)>",
        "=?utf-8?q?=0D=0ABcc:_all@example.test?=",
        "\u{202e}evE \u{200b}\u{feff}",
        "Zoë 🦀 \u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}",
        "Eve\u{0}\u{1}\u{7f}",
        ".\r\n.\r\nQUIT",
    ];
    for (n, name) in names.iter().enumerate() {
        let hostile = Submission {
            first_name: Some((*name).to_owned()),
            last_name: Some("x".repeat(100_000)),
            company: Some((*name).to_owned()),
            email: Some(format!("eve{n}@example.com")),
            message: Some(format!("{name}\n.\n{name}")),
            ..Submission::default()
        };
        // Senders are asked to leave NUL out before anything is kept; what is in the database never has it.
        let json = serde_json::to_string(&hostile)
            .unwrap()
            .replace("\\u0000", "");
        submit(&world, org, &serde_json::from_str(&json).unwrap()).await;
    }

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    assert_eq!(leads(&world, org).await.len(), names.len());
    let mails = world.mailbox().await.mails();
    assert_eq!(mails.len(), names.len());
    assert!(mails.iter().all(|mail| mail.to == ["boss@example.test"]));
    for mail in letters(&world).await {
        assert_eq!(mail.header("To"), Some("Boss <boss@example.test>"));
        assert_eq!(mail.header("Bcc"), None);
        assert_eq!(
            mail.head.matches("\nSubject:").count()
                + usize::from(mail.head.starts_with("Subject:")),
            1
        );
        assert!(!mail.text.contains("evaluated"), "{}", mail.text);
        for run in ["<script", "<img src=x"] {
            assert!(!mail.html.contains(run), "{run}");
        }
        assert!(mail.head.lines().all(|line| line.len() < 3_000));
    }
}

#[tokio::test]
async fn a_rep_with_a_hostile_name_gets_an_ordinary_mail() {
    let world = World::at(time("2030-03-04T09:00:00Z")).await;
    let org = world.org().await;
    world.member(org, "Boss", Role::Owner).await;
    change(
        &world,
        org,
        "UPDATE memberships SET name = E'Eve\\r\\nBcc: all@example.test {{ 7 * 7 }} \"<x@example.test>,'",
    )
    .await;
    let lead = lead(&world, org).await;
    world.enqueue(&notify(org, lead, Reason::Scored)).await;

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    let mails = world.mailbox().await.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, ["boss@example.test"]);
    let mail = &letters(&world).await[0];
    assert_eq!(mail.header("Bcc"), None);
    assert!(
        mail.header("To")
            .is_some_and(|to| to.ends_with("<boss@example.test>")),
        "{}",
        mail.head
    );
    assert!(mail.text.contains("{{ 7 * 7 }}"), "{}", mail.text);
}
