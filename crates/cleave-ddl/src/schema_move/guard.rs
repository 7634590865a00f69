//! Event triggers that answer changes of structure under an old name while a view stands there. Some would fail with a
//! message about views, some would succeed on the view alone, unnoticed. Event triggers need a superuser.

use crate::text::dollar;
use cleave_model::{Ident, QualifiedName, ServiceName, labels, quote_literal};

/// Statements about a table that fail on a view: answered before they start, by their text.
const AT_START: &str = "'ALTER TABLE', 'CREATE INDEX', 'CREATE POLICY', 'CREATE TRIGGER', 'DROP TABLE'";
/// Statements that succeed on a view alone: answered at their end, by the object they changed.
const AT_END: &str = "'ALTER TABLE', 'ALTER VIEW', 'COMMENT', 'CREATE RULE', 'CREATE TRIGGER', 'CREATE VIEW'";

/// The function and its two event triggers. `moved` are old name and new name. Sessions of Cleave pass.
pub fn create(service: &ServiceName, moved: &[(QualifiedName, QualifiedName)]) -> Vec<String> {
    let (name, function) = (labels::guard(service), function(service));
    let trigger = |suffix: &str| Ident::new(format!("{name}{suffix}")).quoted();
    vec![
        format!(
            "create or replace function {function}() returns event_trigger language plpgsql \
             set search_path = pg_catalog, pg_temp as {}",
            dollar(&body(service, moved))
        ),
        format!(
            "create event trigger {} on ddl_command_start when tag in ({AT_START}) execute function {function}()",
            trigger("_start")
        ),
        format!(
            "create event trigger {} on ddl_command_end when tag in ({AT_END}) execute function {function}()",
            trigger("_end")
        ),
    ]
}

/// Removes them.
pub fn drop(service: &ServiceName) -> Vec<String> {
    let name = labels::guard(service);
    let trigger = |suffix: &str| {
        format!("drop event trigger if exists {}", Ident::new(format!("{name}{suffix}")).quoted())
    };
    vec![trigger("_start"), trigger("_end"), format!("drop function if exists {}()", function(service))]
}

fn function(service: &ServiceName) -> String {
    QualifiedName::new(labels::CLEAVE_SCHEMA, labels::guard(service).as_str()).quoted()
}

fn body(service: &ServiceName, moved: &[(QualifiedName, QualifiedName)]) -> String {
    let array = |texts: Vec<String>| {
        let texts: Vec<String> = texts.iter().map(|text| quote_literal(text)).collect();
        format!("array[{}]::text[]", texts.join(", "))
    };
    let old = array(moved.iter().map(|(old, _)| old.quoted()).collect());
    let shown = array(moved.iter().map(|(old, _)| old.to_string()).collect());
    let new = array(moved.iter().map(|(_, new)| new.to_string()).collect());
    let patterns = array(moved.iter().map(|(old, _)| pattern(old)).collect());
    format!(
        "
declare
    old_names constant text[] := {old};
    shown_names constant text[] := {shown};
    new_names constant text[] := {new};
    patterns constant text[] := {patterns};
    found integer;
begin
    if pg_catalog.current_setting('application_name') like 'cleave %' then
        return;
    end if;
    if tg_event = 'ddl_command_start' then
        select i into found from pg_catalog.generate_subscripts(patterns, 1) i
        where pg_catalog.current_query() ~* patterns[i] limit 1;
    else
        select i into found
        from pg_catalog.pg_event_trigger_ddl_commands() c, pg_catalog.generate_subscripts(old_names, 1) i
        where c.classid in ('pg_catalog.pg_class'::pg_catalog.regclass, 'pg_catalog.pg_rewrite'::pg_catalog.regclass,
                            'pg_catalog.pg_trigger'::pg_catalog.regclass)
          and (c.objid = pg_catalog.to_regclass(old_names[i])
            or c.objid in (select r.oid from pg_catalog.pg_rewrite r where r.ev_class = pg_catalog.to_regclass(old_names[i]))
            or c.objid in (select t.oid from pg_catalog.pg_trigger t where t.tgrelid = pg_catalog.to_regclass(old_names[i])))
        limit 1;
    end if;
    if found is not null then
        raise exception using errcode = '55000',
            message = pg_catalog.format('%s stands in for %s, which moved with service %s: nothing was changed',
                shown_names[found], new_names[found], {}),
            hint = pg_catalog.format('Run it on %s.', new_names[found]);
    end if;
end
",
        quote_literal(service.as_str())
    )
}

/// Matches a statement whose object is the old name, written with its schema: `alter table only public.film`,
/// `create index on \"public\".\"film\"`. Text in which the name only occurs does not match.
fn pattern(name: &QualifiedName) -> String {
    let part = |ident: &Ident| {
        let bare = ident.as_str();
        let quoted = escape(&ident.quoted());
        let simple = bare.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if simple { format!("(?:{quoted}|{})", escape(bare)) } else { quoted }
    };
    format!(
        r#"\m(?:table|on)\s+(?:if\s+exists\s+)?(?:only\s+)?{}\s*\.\s*{}(?![\w$".])"#,
        part(&name.schema),
        part(&name.name)
    )
}

/// A literal text in a regular expression (manual, section 9.7.3).
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if !c.is_alphanumeric() && c != '_' && c != '"' {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
