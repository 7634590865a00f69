//! Triggers that fire for replicated changes.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use crate::readiness::ground::is_ours;
use cleave_model::catalog::{Trigger, TriggerFiring};

pub(super) const RULE: Rule = Rule {
    code: "C0838",
    title: "A trigger fires for replicated changes",
    severity: Severity::Blocker,
    side: Side::Source,
    in_plan: true,
    nouns: ("trigger fires for replicated changes", "triggers fire for replicated changes"),
    why: "it has run at the home already, and would run again for the copied change",
    cause: "Changes are applied in replica mode, in which ordinary triggers do not fire: what they did at the \
        home comes as changes of its own. A trigger with ENABLE ALWAYS or ENABLE REPLICA fires all the same, \
        so its effects would be there twice.",
    fix: "```sql\n\
        alter table public.film enable trigger touched;\n\
        ```\n\n\
        If it is there for another replication, end that first.",
    bad: Example::Sql(
        r"create table film (id int primary key, changes int);
create function touched() returns trigger language plpgsql as $$ begin new.changes := new.changes + 1; return new; end $$;
create trigger touched before update on film for each row execute function touched();
alter table film enable always trigger touched;",
    ),
    good: Example::Sql(
        r"create table film (id int primary key, changes int);
create function touched() returns trigger language plpgsql as $$ begin new.changes := new.changes + 1; return new; end $$;
create trigger touched before update on film for each row execute function touched();",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for table in ground.tables() {
        let firing =
            |trigger: &&Trigger| matches!(trigger.firing, TriggerFiring::Always | TriggerFiring::Replica);
        for trigger in table.triggers.iter().filter(firing).filter(|trigger| !is_ours(&trigger.name)) {
            let fix =
                format!("alter table {} enable trigger {};", table.name.quoted(), trigger.name.quoted());
            found.object(format!("trigger {} of {}", trigger.name, table.name)).fix(fix);
        }
    }
}
