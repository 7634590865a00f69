//! Large objects stand in a catalog, not in the stream. They are compared by what they hold and copied where they differ:
//! after the rows, before a switch, and once more while writers wait, behind a lock that stops those who write them.

use crate::{EngineError, Site, context::MoveContext, switch::sql};
use cleave_journal::Lease;
use cleave_model::{quote_ident, quote_literal};
use cleave_pg::{During, Session};
use cleave_stream::StreamError;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::task::JoinSet;

/// Bytes of one round trip.
const PIECE_BYTES: i32 = 1 << 20;

/// Owner, rights and content. A page that was never written reads as zeros, so zeros at the end of a page say nothing.
const CONTENTS: &str = "
    select m.oid, pg_catalog.pg_get_userbyid(m.lomowner)::text,
           coalesce((select pg_catalog.string_agg(pg_catalog.format('%s %s %s',
                         coalesce(pg_catalog.pg_get_userbyid(nullif(a.grantee, 0))::text, ''), a.privilege_type, a.is_grantable),
                         ',' order by a.grantee, a.privilege_type)
                     from pg_catalog.aclexplode(m.lomacl) a where a.grantee <> m.lomowner), ''),
           coalesce((select pg_catalog.md5(pg_catalog.string_agg(
                         l.pageno || ':' || pg_catalog.md5(pg_catalog.rtrim(l.data, '\\x00'::bytea)), ',' order by l.pageno)
                         filter (where pg_catalog.rtrim(l.data, '\\x00'::bytea) <> ''))
                     from pg_catalog.pg_largeobject l where l.loid = m.oid), ''),
           coalesce((select l.pageno::bigint * 2048 + pg_catalog.length(l.data) from pg_catalog.pg_largeobject l
                     where l.loid = m.oid order by l.pageno desc limit 1), 0)
    from pg_catalog.pg_largeobject_metadata m order by m.oid";

const RIGHTS: &str = "
    select coalesce(r.rolname::text, ''), a.privilege_type, a.is_grantable
    from pg_catalog.pg_largeobject_metadata m cross join lateral pg_catalog.aclexplode(m.lomacl) a
    left join pg_catalog.pg_roles r on r.oid = a.grantee where m.oid = $1 and a.grantee <> m.lomowner";

type Contents = BTreeMap<u32, (String, String, String, i64)>;

/// Makes the large objects of the second side those of the first, as many at once as there are jobs.
pub(crate) async fn carry(
    move_: &MoveContext,
    (from, to): (&Site, &Site),
    lease: &Lease,
) -> Result<(), EngineError> {
    let (source, target) = (from.connect("large objects").await?, to.connect("large objects").await?);
    let differing = differing(&source, &target).await?;
    if differing.is_empty() {
        return Ok(());
    }
    move_
        .events
        .note(Some(&move_.service), format!("copies large objects to {}: {}", to.name, differing.len()));
    let workers = move_.limits.jobs.min(differing.len());
    let waiting = Arc::new(Mutex::new(differing));
    let mut tasks: JoinSet<Result<(), EngineError>> = JoinSet::new();
    for _ in 0..workers {
        let (source, target) = (from.connect("large objects").await?, to.connect("large objects").await?);
        let (waiting, lease, cancelled) = (Arc::clone(&waiting), lease.clone(), move_.cancelled.clone());
        tasks.spawn(async move {
            while let Some(oid) = next(&waiting) {
                if cancelled.is_cancelled() {
                    return Err(EngineError::Interrupted);
                }
                copy(&source, &target, &lease, oid).await?;
            }
            Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap_or_else(|error| Err(StreamError::Task(error.to_string()).into()))?;
    }
    Ok(())
}

fn next(waiting: &Mutex<Vec<u32>>) -> Option<u32> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).pop()
}

/// Those that are not the same on both sides.
async fn differing(source: &Session, target: &Session) -> Result<Vec<u32>, EngineError> {
    if are_none(source, target).await? {
        return Ok(Vec::new());
    }
    let (theirs, ours) = (contents(source).await?, contents(target).await?);
    let mut differing: Vec<u32> =
        theirs.iter().filter(|(oid, content)| ours.get(oid) != Some(content)).map(|(oid, _)| *oid).collect();
    differing.extend(ours.keys().filter(|oid| !theirs.contains_key(oid)));
    Ok(differing)
}

/// True if neither side has any.
pub(crate) async fn are_none(source: &Session, target: &Session) -> Result<bool, EngineError> {
    Ok(is_without(source).await? && is_without(target).await?)
}

async fn is_without(session: &Session) -> Result<bool, EngineError> {
    let sql = "select not exists (select from pg_catalog.pg_largeobject_metadata)";
    Ok(session.query_one(sql, &[]).await.during("looking for large objects")?.get(0))
}

async fn contents(session: &Session) -> Result<Contents, EngineError> {
    let rows = match session.query(CONTENTS, &[]).await.during("comparing large objects") {
        Err(error) if error.sqlstate() == Some("42501") => {
            return Err(EngineError::gate(
                "C1207",
                "large objects were made, and this role may not compare them",
            )
            .hint("connect as a superuser"));
        }
        rows => rows?,
    };
    let content = |row: &tokio_postgres::Row| (row.get(0), (row.get(1), row.get(2), row.get(3), row.get(4)));
    Ok(rows.iter().map(content).collect())
}

/// One object in one transaction: away with the old one, then the new one with its owner and rights.
async fn copy(source: &Session, target: &Session, lease: &Lease, oid: u32) -> Result<(), EngineError> {
    sql(target, "begin").await?;
    lease.check(&**target).await?;
    let what = "copying a large object";
    target
        .execute(
            "select pg_catalog.lo_unlink(oid) from pg_catalog.pg_largeobject_metadata where oid = $1",
            &[&oid],
        )
        .await
        .during(what)?;
    let owner = source
        .query_opt(
            "select pg_catalog.pg_get_userbyid(lomowner)::text from pg_catalog.pg_largeobject_metadata where oid = $1",
            &[&oid],
        )
        .await
        .during(what)?;
    if let Some(owner) = owner {
        target.execute("select pg_catalog.lo_create($1)", &[&oid]).await.during(what)?;
        write(source, target, oid).await?;
        let mut statements = vec![format!("alter large object {oid} owner to {}", quote_ident(owner.get(0)))];
        for row in source.query(RIGHTS, &[&oid]).await.during(what)? {
            let (grantee, right, grantable): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
            let grantee = if grantee.is_empty() { "public".to_owned() } else { quote_ident(&grantee) };
            let option = if grantable { " with grant option" } else { "" };
            statements.push(format!("grant {right} on large object {oid} to {grantee}{option}"));
        }
        let comment = source
            .query_one("select pg_catalog.obj_description($1, 'pg_largeobject')", &[&oid])
            .await
            .during(what)?;
        if let Some(comment) = comment.get::<_, Option<String>>(0) {
            statements.push(format!("comment on large object {oid} is {}", quote_literal(&comment)));
        }
        sql(target, &statements.join(";\n")).await?;
    }
    sql(target, "commit").await
}

async fn write(source: &Session, target: &Session, oid: u32) -> Result<(), EngineError> {
    let mut at = 0_i64;
    loop {
        let row = source
            .query_one("select pg_catalog.lo_get($1, $2, $3)", &[&oid, &at, &PIECE_BYTES])
            .await
            .during("reading a large object")?;
        let piece: &[u8] = row.get(0);
        if piece.is_empty() {
            return Ok(());
        }
        target
            .execute("select pg_catalog.lo_put($1, $2, $3)", &[&oid, &at, &piece])
            .await
            .during("writing a large object")?;
        at += i64::try_from(piece.len()).unwrap_or(i64::MAX);
    }
}
