//! Roles whose sessions are in replica mode.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::instance::RoleSetting;

pub(super) const RULE: Rule = Rule {
    code: "C0881",
    title: "Applications may write in replica mode",
    severity: Severity::Warning,
    side: Side::Source,
    in_plan: false,
    nouns: ("role writes in replica mode", "roles write in replica mode"),
    why: "their statements fire no triggers and check no foreign keys, so rows may dangle already",
    cause: "`session_replication_role = replica` set for a role or a database lets its sessions write without \
        triggers and foreign keys. That is meant for those who apply changes, Cleave among them. Of an \
        application it leaves rows that refer to nothing, which show when keys are validated at the new \
        home, and it passes the fence of a switch unless the fence fires always, as Cleave's does.",
    fix: "Take it from everybody but those who apply changes, and look for rows that dangle (`alter table ... \
        validate constraint`):\n\n\
        ```sql\n\
        alter role importer in database shop reset session_replication_role;\n\
        ```",
    bad: Example::Observed("alter role importer set session_replication_role = replica", "", |observed| {
        let role = Some("importer".into());
        let name = "session_replication_role".into();
        let setting = RoleSetting { role, name, value: "replica".into(), ..RoleSetting::default() };
        observed.instance.role_settings = vec![setting];
    }),
    good: Example::Observed("no role has session_replication_role set", "", |observed| {
        observed.instance.role_settings.clear();
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    let own = ground.catalog().facts.role.as_str();
    for setting in &ground.instance().role_settings {
        let others = setting.role.as_deref() != Some(own);
        if others && setting.name == "session_replication_role" && setting.value == "replica" {
            found.object(setting.role.as_deref().unwrap_or("all roles"));
        }
    }
}
