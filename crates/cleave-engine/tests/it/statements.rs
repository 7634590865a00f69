//! Which statements go through each bridge, and what becomes of statements that a switch catches in flight: the tables of
//! docs/reference/bridges.md, made from what servers do. `UPDATE=1` writes the page anew, on all versions.

use crate::cinema::Cinema;
use cleave_api::CutoverOutcome;
use cleave_engine::{Answer, Verb};
use cleave_sandbox::Version;
use futures_util::SinkExt;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

const LIMIT: Duration = Duration::from_secs(60);
const BRIDGES: [&str; 3] = ["forward", "local", "none"];

/// What is sent under the old name once the new home has the table. Each runs in a session of its own.
const STATEMENTS: &[(&str, &[&str])] = &[
    ("`SELECT`", &["select title from film where id = 7"]),
    (
        "`SELECT`, joined with a table that stays",
        &["select * from film f join inventory i on i.film_id = f.id where f.id = 7"],
    ),
    ("`INSERT`, columns with defaults left out", &["insert into film (title) values ('a')"]),
    ("`INSERT ... VALUES (DEFAULT)`", &["insert into film (id, title) values (default, 'a')"]),
    ("`INSERT ... RETURNING`", &["insert into film (title) values ('a') returning id, code, words"]),
    ("`INSERT ... SELECT`", &["insert into film (title) select title from film where id < 4"]),
    (
        "`INSERT ... OVERRIDING SYSTEM VALUE`",
        &["insert into film (id, title) overriding system value values (90001, 'a')"],
    ),
    ("`UPDATE`", &["update film set title = 'b' where id = 7"]),
    ("`UPDATE ... SET column = DEFAULT`", &["update film set rating = default where id = 7"]),
    (
        "`UPDATE ... FROM` a table that stays",
        &["update film set title = 'b' from inventory i where i.film_id = film.id and film.id = 7"],
    ),
    ("`UPDATE ... RETURNING`", &["update film set title = 'b' where id = 7 returning id"]),
    ("`DELETE ... RETURNING`", &["delete from film where id = 9 returning id"]),
    (
        "`DELETE ... USING` a table that stays",
        &["delete from film using inventory i where i.film_id = film.id and film.id = 9"],
    ),
    (
        "data-modifying `WITH`",
        &["with new as (insert into film (title) values ('a') returning id) select * from new"],
    ),
    ("`ON CONFLICT DO NOTHING`", &["insert into film (id, title) values (7, 'a') on conflict do nothing"]),
    (
        "`ON CONFLICT (columns) DO UPDATE`",
        &["insert into film (id, title) values (7, 'a') on conflict (id) do update set title = 'c'"],
    ),
    (
        "`ON CONFLICT ON CONSTRAINT`",
        &["insert into film (id, title) values (7, 'a') on conflict on constraint film_pkey do nothing"],
    ),
    (
        "`MERGE` (15 and newer)",
        &[
            "merge into film f using (values (7)) v(id) on f.id = v.id when matched then update set title = 'm'",
        ],
    ),
    ("`SELECT ... FOR UPDATE`", &["select id from film where id = 7 for update"]),
    ("`FOR UPDATE NOWAIT`", &["select id from film where id = 7 for update nowait"]),
    ("`FOR UPDATE SKIP LOCKED`", &["select id from film where id = 7 for update skip locked"]),
    ("`LOCK TABLE`", &["begin", "lock table film in share mode"]),
    ("`TRUNCATE`", &["truncate film_part"]),
    ("`COPY table TO`", &["copy film (id) to stdout"]),
    ("`COPY (SELECT ...) TO`", &["copy (select id from film where id < 4) to stdout"]),
    ("`COPY table FROM`", &["copy film_part (film_id, part) from stdin"]),
    (
        "cursor, `FETCH`",
        &["begin", "declare c cursor for select id from film where id < 9", "fetch 2 from c"],
    ),
    (
        "`WHERE CURRENT OF`",
        &[
            "begin",
            "declare c cursor for select id from film where id = 7 for update",
            "fetch c",
            "update film set title = 'x' where current of c",
        ],
    ),
    (
        "savepoint and its rollback",
        &[
            "begin",
            "savepoint s",
            "update film set title = 'b' where id = 7",
            "rollback to s",
            "update film set title = 'c' where id = 7",
            "commit",
        ],
    ),
    (
        "write on both sides in one transaction",
        &[
            "begin",
            "update film set title = 'b' where id = 7",
            "update inventory set token = token where film_id = 7",
            "commit",
        ],
    ),
    (
        "`SERIALIZABLE`",
        &[
            "begin isolation level serializable",
            "select title from film where id = 7",
            "update film set title = 'b' where id = 7",
            "commit",
        ],
    ),
    (
        "`PREPARE TRANSACTION` after a write",
        &["begin", "update film set title = 'b' where id = 7", "prepare transaction 'bridge'"],
    ),
    (
        "`currval` after an insert",
        &["insert into film (title) values ('a')", "select currval('film_id_seq')"],
    ),
    ("`ctid`", &["select ctid from film where id = 7"]),
    ("`xmin`", &["select xmin from film where id = 7"]),
    ("`tableoid`", &["select tableoid::regclass from film where id = 7"]),
    ("whole row (`SELECT film FROM film`)", &["select film from film where id = 7"]),
    ("`EXPLAIN`", &["explain select * from film where id = 7"]),
    ("`ANALYZE`", &["analyze film"]),
    ("`CREATE INDEX`", &["create index on film (made_at)"]),
    ("`ALTER TABLE ... ADD COLUMN`", &["alter table film add column extra int"]),
];

/// `yes`, or the SQLSTATE of the error. Everything is rolled back where it can be.
async fn outcome(client: &mut Client, statements: &[&str]) -> String {
    for statement in statements {
        let result = if statement.starts_with("copy film_part") {
            copy_in(client, statement).await
        } else if statement.contains("to stdout") {
            match client.copy_out(*statement).await {
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            }
        } else {
            client.batch_execute(statement).await
        };
        if let Err(error) = result {
            return error.code().map_or_else(|| error.to_string(), |code| format!("`{}`", code.code()));
        }
    }
    "yes".to_owned()
}

async fn copy_in(client: &Client, statement: &str) -> Result<(), tokio_postgres::Error> {
    let sink = client.copy_in::<_, bytes::Bytes>(statement).await?;
    let mut sink = Box::pin(sink);
    sink.send(bytes::Bytes::from_static(b"400\t77\n")).await?;
    sink.as_mut().finish().await.map(drop)
}

/// `[statement][bridge]` on a version as the monolith's, the newest as the new home's.
async fn through_bridges(version: Version) -> BTreeMap<(usize, usize), String> {
    let mut found = BTreeMap::new();
    for (at_bridge, bridge) in BRIDGES.into_iter().enumerate() {
        let cinema = Cinema::new(version, Version::V18, bridge).await;
        cinema.apply().await.unwrap();
        cinema.verb(Verb::Verify).await.unwrap();
        switched(cinema.verb(Verb::Cutover { dry_run: false }).await.unwrap());
        for (at, (_, statements)) in STATEMENTS.iter().enumerate() {
            let mut client = cinema.on_m().await;
            found.insert((at, at_bridge), outcome(&mut client, statements).await);
            drop(client.batch_execute("rollback").await);
        }
    }
    found
}

fn switched(answer: Answer) {
    let Answer::Switch(report) = answer else { panic!("{answer:?}") };
    assert_eq!(report.outcome, CutoverOutcome::Switched, "{report:?}");
}

/// A session that is prepared before the switch, and sends something in the middle of it.
struct InFlight {
    what: &'static str,
    before: &'static [&'static str],
    caught: &'static [&'static str],
}

const IN_FLIGHT: &[InFlight] = &[
    InFlight {
        what: "simple query, outside a transaction",
        before: &[],
        caught: &["update film set title = 'f' where id = 11"],
    },
    InFlight {
        what: "named prepared statement, planned before (`PREPARE`)",
        before: &[
            "prepare p(int) as update film set title = 'f' where id = $1",
            "execute p(12)",
            "execute p(12)",
        ],
        caught: &["execute p(12)"],
    },
    InFlight {
        what: "open READ COMMITTED transaction that has not touched the tables",
        before: &["begin", "select count(*) from studio"],
        caught: &["update film set title = 'f' where id = 13", "commit"],
    },
    InFlight {
        what: "open REPEATABLE READ transaction that has its snapshot",
        before: &["begin isolation level repeatable read", "select count(*) from studio"],
        caught: &[
            "select title from film where id = 14",
            "update film set title = 'f' where id = 14",
            "commit",
        ],
    },
    InFlight {
        what: "open SERIALIZABLE transaction that has its snapshot",
        before: &["begin isolation level serializable", "select count(*) from studio"],
        caught: &["update film set title = 'f' where id = 15", "commit"],
    },
    InFlight {
        what: "function in PL/pgSQL with plans from before",
        before: &[
            "create function touch(wanted bigint) returns void language plpgsql as \
             $$ begin update film set title = 'f' where id = wanted; end $$",
            "select touch(16)",
            "select touch(16)",
        ],
        caught: &["select touch(16)"],
    },
    InFlight {
        what: "function in SQL",
        before: &["select title_of(17)", "select title_of(17)"],
        caught: &["select title_of(17)"],
    },
    InFlight {
        what: "`COPY table FROM` sent during the switch",
        before: &[],
        caught: &["copy film_part (film_id, part) from stdin"],
    },
    InFlight {
        what: "cursor that is declared during the switch",
        before: &["begin"],
        caught: &["declare c cursor for select id from film where id < 9", "fetch 2 from c", "commit"],
    },
    InFlight {
        what: "`SELECT ... FOR UPDATE` sent during the switch",
        before: &["begin"],
        caught: &["select id from film where id = 18 for update", "commit"],
    },
    InFlight {
        what: "view over both sides",
        before: &["select count(*) from film_stock"],
        caught: &["select count(*) from film_stock"],
    },
    InFlight {
        what: "insert into a table that stays, with a key to a moved one",
        before: &[],
        caught: &["insert into inventory (film_id) values (19)"],
    },
    InFlight { what: "`TRUNCATE` sent during the switch", before: &[], caught: &["truncate film_part"] },
];

/// Extended protocol: prepared by the driver before the switch, executed in it.
const EXTENDED: &str = "prepared by a driver (extended protocol, named statement)";

async fn in_flight(version: Version) -> Vec<(String, String)> {
    let mut cinema = Cinema::new(version, Version::V18, "forward").await;
    cinema.apply().await.unwrap();
    cinema.verb(Verb::Verify).await.unwrap();
    let flags =
        std::env::temp_dir().join(format!("cleave_flight_{}_{}", std::process::id(), version.major()));
    std::fs::create_dir_all(&flags).unwrap();
    let hook = format!("touch {0}/held; while [ ! -e {0}/go ]; do sleep 0.05; done", flags.display());
    cinema.text = cinema.text.replace("write_pause = \"3s\"", "write_pause = \"60s\"");
    cinema.text.push_str(&format!("[hooks]\nin_pause = [{hook:?}]\n"));
    let mut sessions = Vec::new();
    for flight in IN_FLIGHT {
        let client = cinema.on_m().await;
        for statement in flight.before {
            client.batch_execute(statement).await.unwrap_or_else(|error| panic!("{error:?}\n{statement}"));
        }
        sessions.push(client);
    }
    let driver = cinema.on_m().await;
    let statement = driver.prepare("update film set title = 'f' where id = $1::bigint").await.unwrap();
    driver.execute(&statement, &[&20_i64]).await.unwrap();
    let watch = cinema.on_m().await;
    let releasing = release(&watch, &flags, IN_FLIGHT.len() + 1);
    let sending = async {
        wait_for(|| flags.join("held").exists()).await;
        let all = sessions.iter_mut().zip(IN_FLIGHT).map(|(client, flight)| outcome(client, flight.caught));
        let extended = async {
            match driver.execute(&statement, &[&20_i64]).await {
                Ok(_) => "yes".to_owned(),
                Err(error) => format!("`{}`", error.code().unwrap().code()),
            }
        };
        futures_util::future::join(futures_util::future::join_all(all), extended).await
    };
    let (cut, (mut outcomes, extended), ()) =
        tokio::join!(cinema.verb(Verb::Cutover { dry_run: false }), sending, releasing);
    switched(cut.unwrap());
    std::fs::remove_dir_all(&flags).unwrap();
    let mut names: Vec<String> = IN_FLIGHT.iter().map(|flight| flight.what.to_owned()).collect();
    names.push(EXTENDED.to_owned());
    outcomes.push(extended);
    names.into_iter().zip(outcomes).collect()
}

/// Lets the switch go on once all statements wait at its locks.
async fn release(watch: &Client, flags: &Path, expected: usize) {
    wait_for(|| flags.join("held").exists()).await;
    let sql = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    let (expected, began) = (i64::try_from(expected).unwrap(), Instant::now());
    while watch.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) < expected {
        assert!(began.elapsed() < LIMIT, "not all statements came to wait");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    std::fs::write(flags.join("go"), "").unwrap();
}

async fn wait_for(holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < LIMIT, "it never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/bridges.md")
}

const INTRODUCTION: &str = "# What goes through a bridge

This page is made by tests from what servers do; `make test` fails when it is no longer so. The old home has the version
of the column, the new home has 18. `yes` means that the statement does what it did before; a code is the SQLSTATE of
the error that it gets. Nothing here loses a write: what is not carried is refused.

## Statements under the old name, after a cutover

";

const FLIGHT: &str = "
What `yes` does not say:

- `FOR UPDATE` locks the row at the home through `forward`; `NOWAIT` and `SKIP LOCKED` are not passed on: the statement waits.
  Through `local` and `none` it locks the row of the copy, which nobody else does.
- `LOCK TABLE` through `local` and `none` locks the copy, not the home.
- `ctid`, `xmin` and `tableoid` through `forward` are those of the foreign table's row: `xmin` says nothing about versions.
- `ALTER TABLE ... ADD COLUMN` through `forward` alters the foreign table alone, and reading the new column fails. Alter
  the table at its home.
- Two writers of one row, one of them through a bridge: the second can get `40001` where it would have waited. It has to be
  sent again.

## Statements that a cutover catches in flight (`bridge = \"forward\"`)

Each session was prepared before the cutover, sent its statement in the middle of it, and waited at a lock. `yes` means
that it went on at the new home as if nothing had happened.

";

/// The rows of a version's column: by section and row.
type Column = BTreeMap<(u8, usize), String>;

async fn column(version: Version) -> Column {
    let mut column = Column::new();
    let (through, flight) = tokio::join!(through_bridges(version), in_flight(version));
    for (at, (_, _)) in STATEMENTS.iter().enumerate() {
        let of = |bridge: usize| through[&(at, bridge)].clone();
        let cell = match (of(0), of(1), of(2)) {
            (a, b, c) if a == b && b == c => a,
            (a, b, c) => format!("{a} / {b} / {c}"),
        };
        column.insert((0, at), cell);
    }
    for (at, (_, outcome)) in flight.into_iter().enumerate() {
        column.insert((1, at), outcome);
    }
    column
}

fn rows(section: u8) -> Vec<String> {
    match section {
        0 => STATEMENTS.iter().map(|(name, _)| (*name).to_owned()).collect(),
        _ => IN_FLIGHT.iter().map(|flight| flight.what).chain([EXTENDED]).map(str::to_owned).collect(),
    }
}

fn draw(columns: &BTreeMap<u32, Column>) -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in [0, 1] {
        let first = if section == 0 { "statement (`forward` / `local` / `none`)" } else { "session" };
        let majors: Vec<String> = columns.keys().map(u32::to_string).collect();
        let _ = writeln!(page, "| {first} | {} |", majors.join(" | "));
        let _ = writeln!(page, "| --- |{}", " --- |".repeat(majors.len()));
        for (at, row) in rows(section).iter().enumerate() {
            let cells: Vec<&str> = columns.values().map(|column| column[&(section, at)].as_str()).collect();
            let _ = writeln!(page, "| {row} | {} |", cells.join(" | "));
        }
        if section == 0 {
            page.push_str(FLIGHT);
        }
    }
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_about_bridges_says_what_servers_do() {
    let all = std::env::var_os("UPDATE").is_some()
        || std::env::var("CLEAVE_TEST_FULL").is_ok_and(|full| full == "1");
    let versions = if all { Version::ALL.to_vec() } else { vec![Version::V14, Version::V16] };
    let mut columns = BTreeMap::new();
    for version in versions {
        columns.insert(version.major(), column(version).await);
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(page(), draw(&columns)).unwrap();
        return;
    }
    let written = std::fs::read_to_string(page()).unwrap();
    let majors: Vec<u32> = Version::ALL.iter().map(|version| version.major()).collect();
    for (major, column) in &columns {
        let at = majors.iter().position(|known| known == major).unwrap();
        for ((section, row), found) in column {
            let name = &rows(*section)[*row];
            let line = written.lines().find(|line| line.starts_with(&format!("| {name} |")));
            let line =
                line.unwrap_or_else(|| panic!("the page has no line for {name}; renew it with UPDATE=1"));
            let said = line.trim_matches('|').split(" | ").map(str::trim).nth(at + 1).unwrap();
            assert_eq!(said, found, "{name} on {major}");
        }
    }
}
