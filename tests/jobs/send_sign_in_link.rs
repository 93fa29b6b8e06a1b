//! Whoever has an account and works somewhere gets a link; everybody else is answered alike and gets nothing.

use jobs::SendSignInLink;

use super::*;

fn link(email: &str) -> SendSignInLink {
    SendSignInLink {
        email: email.into(),
    }
}

#[tokio::test]
async fn who_has_an_account_gets_one_link_however_the_address_is_typed() {
    let (world, _, _) = staffed().await;
    world.enqueue(&link(" BOSS@example.test")).await;
    let again = world.enqueue(&link("boss@Example.test ")).await;
    assert!(matches!(again, queue::Enqueued::Exists(_)));

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    let mails = world.mailbox().await.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, ["boss@example.test"]);
    let letters = letters(&world).await;
    assert!(
        letters[0].text.contains("https://leadmill.example.test/"),
        "{}",
        letters[0].text
    );
    // Asked again later, the person gets another.
    world.enqueue(&link("boss@example.test")).await;
    world.work().await;
    assert_eq!(world.mailbox().await.count(), 2);
}

#[tokio::test]
async fn nobody_else_gets_anything() {
    let (world, org, boss) = staffed().await;
    let mut tx = world.db.platform().await.unwrap();
    domain::store::members::ensure_user(&mut tx, "idle@example.test", "Idle")
        .await
        .unwrap();
    sqlx::query("UPDATE users SET disabled_at = now() WHERE id = $1")
        .bind(boss)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    for address in [
        "stranger@example.test",
        "idle@example.test",
        "boss@example.test",
    ] {
        world.enqueue(&link(address)).await;
    }

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    assert!(drained.runs.iter().all(|ran| ran.outcome == "skipped"));
    assert_eq!(drained.runs.len(), 3);
    assert!(!everything(&world, org).await.contains_key("email_messages"));
}
