//! `cleave history --proof`, and its check against the live databases.

use crate::store::Store;

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_tells_what_was_done_and_holds_until_somebody_changes_what_it_is_about() {
    let store = Store::to_move().await;
    let said = store.runner.path().join("proof.json");
    let output = store.expect(4, &["history", "--proof"]).await;
    assert!(String::from_utf8(output.stderr).unwrap().contains("error[C0421]"));
    store.expect(0, &["apply", "--until", "following"]).await;
    store.expect(0, &["verify"]).await;
    store.expect(0, &["cutover", "--yes", "--reason", "ticket 7"]).await;
    store.expect(0, &["rollback", "--yes"]).await;

    let proof = store.json(0, &["history", "--proof"]).await;
    let data = &proof["data"];
    assert_eq!(proof["kind"], "proof");
    assert_eq!((&data["state"], &data["home"]["agreed"]), (&"following".into(), &true.into()), "{data}");
    assert_eq!(data["copied"]["rows"], 600, "{data}");
    assert_eq!(data["verifications"][0]["differences"], 0, "{data}");
    let switches = data["switches"].as_array().unwrap();
    let epochs: Vec<_> = switches.iter().map(|switch| (&switch["direction"], &switch["epoch"])).collect();
    assert_eq!(epochs, [(&"cutover".into(), &1.into()), (&"rollback".into(), &2.into())], "{data}");
    assert_eq!((&switches[0]["reason"], &switches[0]["switched"]), (&"ticket 7".into(), &true.into()));
    assert!(switches[0]["by"].as_str().is_some_and(|by| by.contains('/')), "{data}");
    let text = String::from_utf8(store.expect(0, &["history", "--proof"]).await.stdout).unwrap();
    for expected in
        ["600 rows", "both databases say so", "cutover done", "because: ticket 7", "0 differences"]
    {
        assert!(text.contains(expected), "{expected}\n{text}");
    }

    std::fs::write(&said, proof.to_string()).unwrap();
    let check = ["history", "--check", "proof.json"];
    store.expect(0, &check).await;
    // What comes later does not speak against it.
    store.expect(0, &["verify"]).await;
    store.expect(0, &["cutover", "--yes"]).await;
    store.expect(0, &check).await;

    store.on_m("update cleave.journal set detail = '{\"rows\": 1}' where step = 'copy'").await;
    let output = store.expect(5, &check).await;
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("error[C0717]: the journal of move 1 up to entry "), "{errors}");
    store.on_n("update cleave.owner set epoch = epoch - 1").await;
    let errors = String::from_utf8(store.expect(5, &check).await.stderr).unwrap();
    assert!(errors.contains("do not name the same home under the same epoch"), "{errors}");
    store.on_n("update cleave.owner set epoch = epoch + 1").await;

    std::fs::write(&said, "{\"data\": {}}").unwrap();
    let errors = String::from_utf8(store.expect(1, &check).await.stderr).unwrap();
    assert!(
        errors.contains("the proof cannot be read: it lacks the move, the journal or the home"),
        "{errors}"
    );
    std::fs::write(&said, "no").unwrap();
    let errors = String::from_utf8(store.expect(1, &check).await.stderr).unwrap();
    assert!(errors.contains("error[C0423]: the proof proof.json cannot be read"), "{errors}");
    store.expect(0, &["complete", "--yes"]).await;
}
