//! Functions that pin `search_path`.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use crate::readiness::ground::function_name;

pub(super) const RULE: Rule = Rule {
    code: "C0860",
    title: "A function pins the schemas in which it finds tables",
    severity: Severity::Warning,
    side: Side::Source,
    in_plan: false,
    nouns: ("function pins its search_path", "functions pin their search_path"),
    why: "a table that has left these schemas is not found by it any more, whatever the caller's path says",
    cause: "A function with `set search_path` looks in the named schemas only. After a schema move a table \
        stands in a schema that is not among them. After a live move the old name leads on through the \
        bridge, so the function goes on; a function that is carried to the new home has its own schema \
        replaced there, but not the others.",
    fix: "Before a schema move, put the new schemas in front:\n\n\
        ```sql\n\
        alter function public.total(integer) set search_path = orders, public, pg_temp;\n\
        ```",
    bad: Example::Sql(
        r"create table orders (id int primary key, total numeric);
create function order_total(order_id int) returns numeric language plpgsql set search_path = public, pg_temp
as $$ begin return (select total from orders where id = order_id); end $$;",
    ),
    good: Example::Sql(
        r"create table orders (id int primary key, total numeric);
create function order_total(order_id int) returns numeric language plpgsql
as $$ begin return (select total from orders where id = order_id); end $$;",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for (function, body) in ground.functions() {
        let path = function.settings.iter().find_map(|setting| setting.strip_prefix("search_path="));
        let Some(path) = path else { continue };
        // One that names no table by its bare name, or looks in no schema of users, does not mind where tables go.
        let users =
            ground.catalog().schemas.iter().any(|schema| {
                path.split(',').any(|part| part.trim().trim_matches('"') == schema.name.as_str())
            });
        if users && ground.tables().any(|table| body.mentions(&table.name)) {
            found.object(function_name(function)).detail(format!("in {path}"));
        }
    }
}
