//! What becomes of the things that moves leave behind.
//!
//! Cleave drops what it has made itself, and only when a journal says so: a name alone is no proof, as anybody may choose one.
//! What a move still needs stays. What it cannot tell, and what would let writers in, is for a person, with the statement.

use cleave_model::{DatabaseName, Direction, QualifiedName, ServiceName, labels, quote_ident, quote_literal};
use std::collections::BTreeSet;

/// A move that some database of cleave.toml remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveTrace {
    /// The service.
    pub service: ServiceName,
    /// Incarnation of its last move.
    pub incarnation: i64,
    /// Old home and new home.
    pub sides: [DatabaseName; 2],
    /// How it stands.
    pub standing: Standing,
}

/// How a move stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It needs all that it has.
    Open,
    /// Complete, with a copy that is kept current by the way back.
    DoneWithCopy,
    /// Complete, with a bridge.
    DoneWithBridge,
    /// A complete upgrade: the old side stays fenced.
    DoneWhole,
    /// Complete, and nothing is needed any more.
    Done,
    /// Taken back.
    Cancelled,
}

/// Something that was found in a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Where.
    pub database: DatabaseName,
    /// What.
    pub kind: LeftoverKind,
    /// Who uses it, if that can be seen: a session, a slot of the service in another database of the server.
    pub used_by: Option<String>,
}

/// Kinds of leftovers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeftoverKind {
    /// A logical slot of this database.
    Slot(String),
    /// A publication.
    Publication(String),
    /// A replication origin of the server.
    Origin(String),
    /// The fence of a table.
    Fence(QualifiedName, ServiceName),
    /// A replica identity that `apply` has set, as a move's plan says.
    Identity(QualifiedName, ServiceName),
    /// A bridge's role.
    Role(String),
}

/// What is to be done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A move needs it.
    InUse(String),
    /// Nobody needs it, and Cleave has made it: these statements drop it.
    Drop(String, String),
    /// A person decides: why, and the statement.
    Person(String, String),
}

/// All that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// The last move of each service, from all databases that could be read.
    pub moves: Vec<MoveTrace>,
    /// Services and incarnations that some journal has lines of.
    pub journaled: BTreeSet<(ServiceName, i64)>,
    /// True if a database of cleave.toml could not be read: what no trace is of may be known there.
    pub is_partial: bool,
}

/// The verdict on one leftover.
pub fn judge(leftover: &Leftover, traces: &Traces) -> Verdict {
    let sql = statement(&leftover.kind);
    let Some(name) = Parts::of(&leftover.kind) else {
        return Verdict::Person("its name is not one that Cleave gives".to_owned(), sql);
    };
    let found = traces.moves.iter().find(|known| known.service == name.service);
    if let Some(user) = &leftover.used_by {
        return Verdict::InUse(format!("{user} uses it"));
    }
    let service = &name.service;
    let Some(known) = found else {
        let why = match traces.is_partial {
            true => {
                format!("no journal that could be read knows a move of {service}; one that could not be may")
            }
            false => format!("no journal knows a move of {service}: it may be another configuration's"),
        };
        return Verdict::Person(why, sql);
    };
    let is_of_server = matches!(leftover.kind, LeftoverKind::Origin(_) | LeftoverKind::Role(_));
    if !is_of_server && !known.sides.contains(&leftover.database) {
        return Verdict::Person(format!("the last move of {service} was between other databases"), sql);
    }
    let superseded = name.incarnation.is_some_and(|incarnation| {
        incarnation < known.incarnation && traces.journaled.contains(&(service.clone(), incarnation))
    });
    if superseded {
        return Verdict::Drop(
            format!("an earlier move of {service} has made it, and a later one has begun since"),
            sql,
        );
    }
    if name.incarnation.is_some_and(|incarnation| incarnation > known.incarnation) {
        return Verdict::Person(
            format!("the journal of {service} does not know this move: it may be older than it"),
            sql,
        );
    }
    standing(&leftover.kind, &name, known, sql)
}

/// By how the move stands that it belongs to.
fn standing(kind: &LeftoverKind, name: &Parts, known: &MoveTrace, sql: String) -> Verdict {
    let service = &known.service;
    let is_fence = matches!(kind, LeftoverKind::Fence(..));
    let is_identity = matches!(kind, LeftoverKind::Identity(..));
    match known.standing {
        Standing::Open => Verdict::InUse(format!("the move of {service} is open")),
        Standing::Cancelled => Verdict::Drop(format!("the move of {service} was taken back"), sql),
        Standing::DoneWithCopy if name.direction != Some(Direction::Forward) => {
            Verdict::InUse(format!("the copy of {service} is kept current with it"))
        }
        Standing::DoneWithBridge if matches!(kind, LeftoverKind::Role(_)) => {
            Verdict::InUse(format!("the bridge of {service} logs in as it"))
        }
        Standing::DoneWhole if is_fence => Verdict::Person(
            "it keeps late writers out of the database that was upgraded: drop the database instead"
                .to_owned(),
            sql,
        ),
        // Without it the table takes writes: nobody but a person knows whether it should.
        _ if is_fence => {
            Verdict::Person(format!("the move of {service} is complete, and its fence still stands"), sql)
        }
        _ if is_identity => {
            Verdict::Drop(format!("it was set for the streams of {service}, which are gone"), sql)
        }
        _ => Verdict::Drop(format!("the move of {service} is complete"), sql),
    }
}

/// What a name says.
struct Parts {
    service: ServiceName,
    direction: Option<Direction>,
    incarnation: Option<i64>,
}

impl Parts {
    fn of(kind: &LeftoverKind) -> Option<Self> {
        let (name, is_slot) = match kind {
            LeftoverKind::Slot(name) => {
                (labels::split_part(name.strip_suffix("_tmp").unwrap_or(name)).0, true)
            }
            LeftoverKind::Publication(name) => (name.as_str(), false),
            LeftoverKind::Origin(name) => (labels::split_part(name).0, false),
            LeftoverKind::Fence(_, service) | LeftoverKind::Identity(_, service) => {
                return Some(Self { service: service.clone(), direction: None, incarnation: None });
            }
            LeftoverKind::Role(name) => {
                let service = ServiceName::parse(name.strip_prefix("cleave_bridge_")?).ok()?;
                return Some(Self { service, direction: None, incarnation: None });
            }
        };
        let rest = name.strip_prefix("cleave_")?;
        let (rest, incarnation) = match is_slot {
            true => {
                let (rest, number) = rest.rsplit_once('_')?;
                (rest, Some(number.parse().ok()?))
            }
            false => (rest, None),
        };
        let (service, direction) = if let Some(service) = rest.strip_suffix("_forward") {
            (service, Direction::Forward)
        } else if let Some(service) = rest.strip_suffix("_back") {
            (service, Direction::Back)
        } else {
            let (service, worker) =
                rest.rsplit_once("_copy_").filter(|_| matches!(kind, LeftoverKind::Origin(_)))?;
            worker.parse::<u32>().ok()?;
            (service, Direction::Forward)
        };
        Some(Self { service: ServiceName::parse(service).ok()?, direction: Some(direction), incarnation })
    }
}

/// True for a name that Cleave could have given to a slot, publication or origin.
pub fn is_our_name(kind: &LeftoverKind) -> bool {
    Parts::of(kind).is_some()
}

fn statement(kind: &LeftoverKind) -> String {
    match kind {
        LeftoverKind::Slot(name) => {
            format!("select pg_catalog.pg_drop_replication_slot({})", quote_literal(name))
        }
        LeftoverKind::Publication(name) => format!("drop publication if exists {}", quote_ident(name)),
        LeftoverKind::Origin(name) => {
            format!("select pg_catalog.pg_replication_origin_drop({})", quote_literal(name))
        }
        LeftoverKind::Fence(table, _) => {
            let trigger = quote_ident(cleave_model::labels::FENCE_TRIGGER);
            format!("drop trigger if exists {trigger} on {}", table.quoted())
        }
        LeftoverKind::Identity(table, _) => {
            format!("alter table only {} replica identity default", table.quoted())
        }
        LeftoverKind::Role(name) => format!("drop role if exists {}", quote_ident(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn films() -> ServiceName {
        ServiceName::parse("films").unwrap()
    }

    fn traces(standing: Standing) -> Traces {
        let sides = ["old", "new"].map(|name| DatabaseName::parse(name).unwrap());
        let moves = vec![MoveTrace { service: films(), incarnation: 3, sides, standing }];
        Traces { moves, journaled: [(films(), 2), (films(), 3)].into(), is_partial: false }
    }

    fn check(kind: LeftoverKind, standing: Standing) -> &'static str {
        let leftover = Leftover { database: DatabaseName::parse("old").unwrap(), kind, used_by: None };
        match judge(&leftover, &traces(standing)) {
            Verdict::InUse(_) => "in use",
            Verdict::Drop(..) => "drop",
            Verdict::Person(..) => "person",
        }
    }

    fn slot(name: &str) -> LeftoverKind {
        LeftoverKind::Slot(name.into())
    }

    #[test]
    fn what_a_move_needs_stays_and_what_it_has_left_goes() {
        assert_eq!(check(slot("cleave_films_forward_3"), Standing::Open), "in use");
        assert_eq!(check(slot("cleave_films_forward_3_tmp"), Standing::Cancelled), "drop");
        assert_eq!(check(slot("cleave_films_forward_3_d2"), Standing::Cancelled), "drop");
        assert_eq!(check(slot("cleave_films_forward_3_d2"), Standing::Open), "in use");
        let origin = || LeftoverKind::Origin("cleave_films_forward_d2".into());
        assert_eq!(check(origin(), Standing::Done), "drop");
        assert_eq!(check(slot("cleave_films_back_3"), Standing::DoneWithCopy), "in use");
        assert_eq!(check(slot("cleave_films_forward_3"), Standing::DoneWithCopy), "drop");
        assert_eq!(check(LeftoverKind::Origin("cleave_films_copy_7".into()), Standing::Done), "drop");
        assert_eq!(check(LeftoverKind::Publication("cleave_films_back".into()), Standing::Cancelled), "drop");
        assert_eq!(
            check(LeftoverKind::Role("cleave_bridge_films".into()), Standing::DoneWithBridge),
            "in use"
        );
        assert_eq!(check(LeftoverKind::Role("cleave_bridge_films".into()), Standing::Cancelled), "drop");
    }

    #[test]
    fn what_an_earlier_move_has_left_goes_although_a_later_one_is_open() {
        assert_eq!(check(slot("cleave_films_forward_2"), Standing::Open), "drop");
        // No journal has a line of it, or it is of a move that comes after the last one known.
        assert_eq!(check(slot("cleave_films_forward_1"), Standing::Open), "in use");
        assert_eq!(check(slot("cleave_films_forward_4"), Standing::Cancelled), "person");
    }

    #[test]
    fn what_cleave_did_not_make_or_what_lets_writers_in_is_for_a_person() {
        for name in
            ["cleave_reports", "cleave_films_forward", "cleave_other_forward_1", "cleave_films_forward_x"]
        {
            assert_eq!(check(slot(name), Standing::Cancelled), "person", "{name}");
        }
        assert!(!is_our_name(&LeftoverKind::Origin("cleave_films_copy_x".into())));
        assert!(!is_our_name(&LeftoverKind::Publication("cleave_films_copy_1".into())));
        let fence = || LeftoverKind::Fence(QualifiedName::new("public", "film"), films());
        assert_eq!(check(fence(), Standing::DoneWhole), "person");
        assert_eq!(check(fence(), Standing::Done), "person");
        assert_eq!(check(fence(), Standing::DoneWithCopy), "in use");
        assert_eq!(check(fence(), Standing::Cancelled), "drop");
    }

    #[test]
    fn what_stands_where_no_move_was_is_for_a_person() {
        let elsewhere = DatabaseName::parse("elsewhere").unwrap();
        let leftover = Leftover { database: elsewhere, kind: slot("cleave_films_forward_3"), used_by: None };
        assert!(matches!(judge(&leftover, &traces(Standing::Cancelled)), Verdict::Person(..)));
    }

    #[test]
    fn what_a_session_uses_is_left_alone() {
        let kind = slot("cleave_films_forward_3");
        let leftover = Leftover {
            database: DatabaseName::parse("old").unwrap(),
            kind,
            used_by: Some("session 7".into()),
        };
        assert!(matches!(judge(&leftover, &traces(Standing::Cancelled)), Verdict::InUse(_)));
    }
}
