//! Libraries of applications, and psql, on each compatibility layer: what works is a table in the reference, made here.
//!
//! `UPDATE=1 cargo test -p cleave-engine --test it -- libraries` writes it anew.

use super::extended;
use super::shop::{CUTOVER, Shop, customers};
use cleave_sandbox::Version;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// By client and operation: what the table answers before the move, and each layer, in the order of [`WAYS`].
type Table = BTreeMap<(String, String), Vec<String>>;

/// Layer and schema that names are written with.
const WAYS: [(&str, &str); 4] = [("view", ""), ("view", "public"), ("path", ""), ("path", "public")];

/// What reads the catalog, each library in its own way: one of them fails before the move too.
const REFLECTION: &str = "reflection of the key";

const INTRODUCTION: &str = "\
# What clients can do on the compatibility layers of a schema move

Each client did each operation before the move and after the cutover, in a session that began then, as the application's role,
on PostgreSQL 15 and 18. `ok`, or the SQLSTATE that it met. Operations that only look at the catalog say `not there`
where they did not find what they look for. Made by the tests, from programs in `crates/cleave-engine/tests/clients`;
tokio-postgres stands for drivers that prepare, bind and pipeline. Statements that were prepared before a switch go on after it.

";

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

fn is_in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The folder of the libraries; without it, or what runs them, the test is counted as skipped.
fn libraries(test: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/tools/clients");
    let folder = std::env::var_os("CLEAVE_CLIENTS").map_or(beside, PathBuf::from);
    let programs = ["python3", "node", "psql"].iter().all(|program| is_in_path(program));
    if folder.join(".complete").is_file() && programs {
        return Some(folder);
    }
    if let Some(list) = std::env::var_os("CLEAVE_SKIPPED_FILE") {
        use std::io::Write;
        let mut list = std::fs::File::options().append(true).create(true).open(list).unwrap();
        writeln!(list, "{test}: no libraries, python3, node or psql, see `cargo xtask clients`").unwrap();
    }
    None
}

/// Runs a program; its lines are `operation: answer`.
fn answers(client: &str, mut command: Command) -> Vec<((String, String), String)> {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && !said.is_empty(), "{client}: {said}\n{errors}");
    let pairs = said.lines().filter_map(|line| line.split_once(": "));
    pairs.map(|(operation, answer)| ((client.to_owned(), operation.to_owned()), answer.to_owned())).collect()
}

/// Scripts as people keep them: `\copy` both ways, and what else only tables can do.
fn psql(url: &str, schema: &str) -> Vec<((String, String), String)> {
    let dot = if schema.is_empty() { "" } else { "." };
    let scripts = [
        ("COPY to", format!("\\copy {schema}{dot}note to '/dev/null'")),
        ("COPY of a query", format!("\\copy (select * from {schema}{dot}note) to '/dev/null'")),
        ("COPY from", format!("\\copy {schema}{dot}note (customer_id) from program 'echo 1'")),
        ("TRUNCATE", format!("begin; truncate {schema}{dot}event; rollback")),
        ("LOCK TABLE", format!("begin; lock table {schema}{dot}note in row exclusive mode; rollback")),
        (
            "MERGE",
            format!(
                "merge into {schema}{dot}note n using (select 1 as id) s on n.id = s.id when matched then update set body = 'm'"
            ),
        ),
    ];
    let run = |(operation, script): &(&str, String)| {
        let mut command = Command::new("psql");
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=sqlstate", "-d", url]);
        for line in script.split("; ") {
            command.args(["-c", line]);
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        // The other end of a pipe may complain too.
        let error = errors.lines().find(|line| line.contains("ERROR:")).unwrap_or(&errors);
        let state = error.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        let answer = if output.status.success() { "ok".to_owned() } else { state };
        (("psql".to_owned(), (*operation).to_owned()), answer)
    };
    scripts.iter().map(run).collect()
}

fn all(folder: &Path, url: &str, schema: &str) -> Vec<((String, String), String)> {
    let mut found = psql(url, schema);
    for (client, library) in [("SQLAlchemy", "sqlalchemy"), ("Django", "django")] {
        let mut python = Command::new("python3");
        python.env("PYTHONPATH", folder.join("python")).env("PYTHONDONTWRITEBYTECODE", "1");
        python.arg(home().join("client.py")).args([library, url, schema]);
        found.extend(answers(client, python));
    }
    let mut node = Command::new("node");
    node.env("NODE_PATH", folder.join("node_modules"));
    node.arg(home().join("client.js")).args([url, schema]);
    found.extend(answers("TypeORM", node));
    found
}

async fn table(version: Version, folder: &Path) -> Table {
    let mut table = Table::new();
    for layer in ["view", "path"] {
        let shop = Shop::new(version, &customers(&format!("bridge = \"{layer}\""))).await;
        let service = shop.first();
        let client = shop.client().await;
        client
            .batch_execute(&format!(
                "alter role {0} password 'shop'; grant truncate on all tables in schema public to {0}",
                shop.app
            ))
            .await
            .unwrap();
        drop(client);
        let url = shop.database.url_as(&shop.app, "shop");
        if layer == "view" {
            let before = all(folder, &url, "").into_iter().chain(extended::answers(&url, "").await);
            for (key, answer) in before {
                table.entry(key).or_default().push(answer);
            }
        }
        shop.apply(&service).await.unwrap();
        shop.until_alone().await;
        shop.switch(&service, CUTOVER).await;
        for (_, schema) in WAYS.iter().filter(|(way, _)| *way == layer) {
            let after = all(folder, &url, schema).into_iter().chain(extended::answers(&url, schema).await);
            for (key, answer) in after {
                table.entry(key).or_default().push(answer);
            }
        }
    }
    table
}

fn page(table: &Table) -> String {
    let mut page = String::from(INTRODUCTION);
    page += "| client | operation | before, `note` | view, `note` | view, `public.note` | path, `note` | path, `public.note` |\n";
    page += "| --- | --- | --- | --- | --- | --- | --- |\n";
    for ((client, operation), answers) in table {
        assert_eq!(answers.len(), WAYS.len() + 1, "{client}, {operation}");
        writeln!(page, "| {client} | {operation} | {} |", answers.join(" | ")).unwrap();
    }
    page
}

/// One answer for both versions, or one for each.
fn both(on_15: &Table, on_18: &Table) -> Table {
    assert!(on_15.keys().eq(on_18.keys()), "the same operations on both");
    let cell = |(a, b): (&String, &String)| if a == b { a.clone() } else { format!("{a} on 15, {b} on 18") };
    let row = |(key, answers): (&(String, String), &Vec<String>)| {
        (key.clone(), answers.iter().zip(&on_18[key]).map(cell).collect())
    };
    on_15.iter().map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn libraries_do_on_15_and_18_what_the_reference_says() {
    let Some(folder) = libraries("libraries_do_on_15_and_18_what_the_reference_says") else { return };
    let table = both(&table(Version::V15, &folder).await, &table(Version::V18, &folder).await);
    for (key, answers) in &table {
        let [before, ..] = answers.as_slice() else { panic!("{key:?}: no answer") };
        assert!(before == "ok" || key.1 == REFLECTION, "{key:?}: {before} before the move");
        for bare in [1, 3] {
            assert_eq!(&answers[bare], before, "{key:?}: a bare name is the table, as before");
        }
    }
    let made = page(&table);
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/clients.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&place, &made).unwrap();
    }
    assert_eq!(made, std::fs::read_to_string(&place).unwrap_or_default(), "UPDATE=1 writes it anew");
}
