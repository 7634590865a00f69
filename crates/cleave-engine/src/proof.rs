//! `history --proof`: what a move has done, put together from the journal and both databases, and the check of one that
//! was made earlier.

use crate::{EngineError, Topology, planning, status::timestamp};
use cleave_api::{
    Proof, ProofCopy, ProofDatabase, ProofHome, ProofJournal, ProofSwitch, ProofVerification, SwitchDirection,
};
use cleave_journal::{Entry, EntryEvent, MoveRow};
use cleave_model::ServiceName;
use cleave_pg::Session;
use serde_json::Value;

/// The proof of a service's last move.
///
/// # Errors
/// A database that cannot be reached, a service that has no move yet.
pub async fn proof(topology: &Topology, service: &ServiceName) -> Result<Proof, EngineError> {
    let (row, m) = last_move(topology, service).await?;
    let n = topology.site(&row.target)?.connect("proof").await?;
    let journal = cleave_journal::digest(&*m, service, row.id, None).await?;
    let entries: Vec<Entry> = cleave_journal::entries(&*m, service)
        .await?
        .into_iter()
        .filter(|entry| entry.incarnation == row.id && entry.id <= journal.last_entry)
        .collect();
    Ok(Proof {
        service: service.to_string(),
        move_id: row.id,
        state: row.state.as_str().to_owned(),
        plan: row.fingerprint.clone(),
        databases: [database(row.source.as_str(), &m).await?, database(row.target.as_str(), &n).await?],
        changes_from: entries.iter().rev().find_map(|entry| text(entry, "consistent_point")),
        copied: copied(&entries),
        verifications: verifications(&entries),
        switches: switches(&entries),
        home: home(service, &row, &m, &n).await?,
        journal: ProofJournal {
            entries: journal.entries,
            last_entry: journal.last_entry,
            digest: journal.hash,
        },
    })
}

/// What an earlier proof, as `--format json` printed it, says otherwise than the databases do now; nothing if it holds.
///
/// # Errors
/// As [`proof`]; a document that is no proof of this service.
pub async fn check_proof(
    topology: &Topology,
    service: &ServiceName,
    earlier: &Value,
) -> Result<Vec<String>, EngineError> {
    let said = earlier.get("data").unwrap_or(earlier);
    let number = |path: &str| said.pointer(path).and_then(Value::as_i64);
    let word = |path: &str| said.pointer(path).and_then(Value::as_str);
    let parts =
        (number("/move_id"), number("/journal/last_entry"), word("/journal/digest"), number("/home/epoch"));
    let (Some(move_id), Some(last_entry), Some(digest), Some(epoch)) = parts else {
        return Err(no_proof("it lacks the move, the journal or the home"));
    };
    if word("/service") != Some(service.as_str()) {
        return Err(no_proof("it is about another service"));
    }
    let (row, m) = last_move(topology, service).await?;
    let n = topology.site(&row.target)?.connect("proof").await?;
    let mut against = Vec::new();
    let now = cleave_journal::digest(&*m, service, move_id, Some(last_entry)).await?;
    if now.hash != digest {
        let entries = number("/journal/entries").unwrap_or_default();
        against.push(format!(
            "the journal of move {move_id} up to entry {last_entry} is not what it was: {} entries, not {entries}, or \
             other ones",
            now.entries
        ));
    }
    for (at, (name, session)) in
        [(row.source.as_str(), &m), (row.target.as_str(), &n)].into_iter().enumerate()
    {
        let found = database(name, session).await?.system_identifier;
        let expected = word(&format!("/databases/{at}/system_identifier")).unwrap_or_default();
        if found != expected {
            against.push(format!("{name} is on another server: system identifier {found}, not {expected}"));
        }
    }
    let home = home(service, &row, &m, &n).await?;
    if home.epoch < epoch {
        against.push(format!("the epoch went back from {epoch} to {}", home.epoch));
    }
    if !home.agreed {
        against.push("the two databases do not name the same home under the same epoch".to_owned());
    }
    Ok(against)
}

fn no_proof(reason: &str) -> EngineError {
    EngineError::Stored { what: "the proof".to_owned(), reason: reason.to_owned() }
}

async fn last_move(topology: &Topology, service: &ServiceName) -> Result<(MoveRow, Session), EngineError> {
    let configured = planning::service(topology, service.as_str())?;
    let m = topology.site(&configured.from)?.connect("proof").await?;
    let row = match cleave_journal::installed_version(&*m).await? {
        Some(_) => MoveRow::read(&*m, service).await?,
        None => None,
    };
    let row = row.ok_or_else(|| EngineError::WrongState {
        service: service.clone(),
        state: "not started".to_owned(),
        verb: "history --proof",
        next: Some("apply"),
    })?;
    Ok((row, m))
}

async fn database(name: &str, session: &Session) -> Result<ProofDatabase, EngineError> {
    let facts = cleave_pg::catalog::read_facts(session).await?;
    let version = session.server_version_num();
    Ok(ProofDatabase {
        name: name.to_owned(),
        system_identifier: facts.system_identifier.to_string(),
        server_version: format!("{}.{}", version / 10_000, version % 10_000),
    })
}

async fn home(
    service: &ServiceName,
    row: &MoveRow,
    m: &Session,
    n: &Session,
) -> Result<ProofHome, EngineError> {
    let here = cleave_journal::owner(&**m, service).await?;
    let there = cleave_journal::owner(&**n, service).await?;
    let said = |owner: &Option<cleave_journal::Owner>| {
        owner.as_ref().map(|owner| (owner.home.to_string(), owner.epoch.0, owner.pending.is_some()))
    };
    Ok(ProofHome {
        database: here.as_ref().map_or_else(|| row.source.to_string(), |owner| owner.home.to_string()),
        epoch: here.as_ref().map_or(0, |owner| owner.epoch.0),
        agreed: said(&here) == said(&there),
    })
}

fn number(entry: &Entry, key: &str) -> u64 {
    entry.detail.get(key).and_then(Value::as_u64).unwrap_or(0)
}

fn text(entry: &Entry, key: &str) -> Option<String> {
    entry.detail.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// The names in a list of an entry's detail.
pub(crate) fn names(entry: &Entry, key: &str) -> Vec<String> {
    let listed = entry.detail.get(key).and_then(Value::as_array);
    listed.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

fn done<'e>(entries: &'e [Entry], step: &'e str) -> impl DoubleEndedIterator<Item = &'e Entry> {
    entries.iter().filter(move |entry| entry.step == step && entry.event == EntryEvent::Done)
}

fn copied(entries: &[Entry]) -> Option<ProofCopy> {
    let entry = done(entries, "copy").next_back()?;
    Some(ProofCopy { rows: number(entry, "rows"), bytes: number(entry, "bytes") })
}

fn verifications(entries: &[Entry]) -> Vec<ProofVerification> {
    let verification = |entry: &Entry| ProofVerification {
        at: timestamp(entry.at),
        rows: number(entry, "rows"),
        differences: number(entry, "differences"),
        unproven: number(entry, "unproven"),
    };
    done(entries, "verify").map(verification).collect()
}

/// A round ends with `done` or `failed`; who carried it out stands in its `begin`, why in a note that follows it.
fn switches(entries: &[Entry]) -> Vec<ProofSwitch> {
    let mut switches: Vec<ProofSwitch> = Vec::new();
    let (mut by, mut with) = (None, Vec::new());
    for entry in entries {
        let direction = match entry.step.as_str() {
            "cutover" => SwitchDirection::Cutover,
            "rollback" => SwitchDirection::Rollback,
            _ => continue,
        };
        match entry.event {
            EntryEvent::Begin => {
                by = text(entry, "by");
                with = names(entry, "with");
            }
            EntryEvent::Done | EntryEvent::Failed => switches.push(ProofSwitch {
                at: timestamp(entry.at),
                direction,
                epoch: entry.detail.get("epoch").and_then(Value::as_i64).unwrap_or(0),
                switched: entry.event == EntryEvent::Done,
                pause_ms: number(entry, "pause_ms"),
                by: by.take(),
                reason: None,
                with: std::mem::take(&mut with),
            }),
            EntryEvent::Note => {
                if let Some(last) = switches.last_mut().filter(|last| last.direction == direction) {
                    last.reason = text(entry, "reason").or(last.reason.take());
                }
            }
            EntryEvent::Undone => {}
        }
    }
    switches
}

#[cfg(test)]
mod tests {
    use super::*;
    use cleave_journal::EntryEvent::{Begin, Done, Failed, Note};
    use serde_json::json;
    use std::time::UNIX_EPOCH;

    fn entry(step: &str, event: EntryEvent, detail: Value) -> Entry {
        Entry { id: 1, at: UNIX_EPOCH, incarnation: 1, lease_epoch: 1, step: step.into(), event, detail }
    }

    #[test]
    fn each_switch_has_who_carried_it_out_and_why_those_that_undid_themselves_too() {
        let entries = [
            entry("cutover", Begin, json!({ "epoch": 1, "by": "a" })),
            entry("cutover.fence", Begin, json!({})),
            entry("cutover", Failed, json!({ "epoch": 1, "pause_ms": 500 })),
            entry("cutover", Begin, json!({ "epoch": 1, "by": "b", "with": ["stores"] })),
            entry("cutover", Done, json!({ "epoch": 1, "pause_ms": 40 })),
            entry("cutover", Note, json!({ "reason": "ticket 7" })),
            entry("rollback", Done, json!({ "epoch": 2, "pause_ms": 30 })),
        ];
        let short: Vec<_> = switches(&entries)
            .into_iter()
            .map(|switch| {
                (switch.epoch, switch.switched, switch.pause_ms, switch.by, switch.reason, switch.with)
            })
            .collect();
        assert_eq!(
            short,
            [
                (1, false, 500, Some("a".into()), None, vec![]),
                (1, true, 40, Some("b".into()), Some("ticket 7".into()), vec!["stores".to_owned()]),
                (2, true, 30, None, None, vec![]),
            ]
        );
    }
}
