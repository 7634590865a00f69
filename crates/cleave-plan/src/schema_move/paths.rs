//! Which `search_path` settings a move changes, and what they are set back to.
//!
//! Every session that meets a moved table under its bare name does so because its path names the old schema. All that
//! is set for roles and databases and names it gets the new schema right before it.

use super::SchemaPlan;
use cleave_ddl::schema_move::path::{self, SearchPath};
use cleave_model::Ident;
use cleave_model::surroundings::{PathSetting, Surroundings};
use serde::{Deserialize, Serialize};

/// A setting that `apply` makes or changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathChange {
    /// The role, in this database; `None`: the database itself.
    pub role: Option<String>,
    /// What was set before, for exactly this.
    pub before: Option<String>,
    /// What is set.
    pub after: String,
}

/// What has to change so that every path that names one of `old` names `new` right before it.
pub(super) fn changes(new: &Ident, old: &[Ident], around: &Surroundings) -> Vec<PathChange> {
    let change = |role: Option<&Ident>, before: Option<&str>, effective: &str| {
        let after = SearchPath::parse(effective).with(new, old)?.sql();
        let role = role.map(|role| role.as_str().to_owned());
        Some(PathChange { role, before: before.map(ToOwned::to_owned), after })
    };
    let database = setting(around, None);
    let effective = of_database(around);
    let mut changes: Vec<PathChange> =
        change(None, database.map(|setting| setting.path.as_str()), effective).into_iter().collect();
    let mut roles: Vec<&Ident> = around.paths.iter().filter_map(|setting| setting.role.as_ref()).collect();
    roles.sort();
    roles.dedup();
    for role in roles {
        let here = setting(around, Some(role));
        let Some(effective) = here.or_else(|| everywhere(around, role)) else { continue };
        changes.extend(change(Some(role), here.map(|setting| setting.path.as_str()), &effective.path));
    }
    changes
}

/// The path of a session whose role has none of its own.
pub(super) fn of_database(around: &Surroundings) -> &str {
    setting(around, None).map_or(around.default_path.as_str(), |setting| setting.path.as_str())
}

/// Settings that name the old schema and not the new one before it: made by somebody since `apply`.
pub fn lacking_paths(plan: &SchemaPlan, around: &Surroundings) -> Vec<PathChange> {
    changes(&plan.new_schema(), &plan.old_schemas(), around)
}

/// The statements that take the new schema out of the settings again, whatever others have put there since.
pub fn restored_paths(plan: &SchemaPlan, around: &Surroundings, database: &str) -> Vec<String> {
    let schema = plan.new_schema();
    let restore = |change: &PathChange| {
        let role = change.role.as_deref().map(Ident::new);
        let now = SearchPath::parse(&setting(around, role.as_ref())?.path);
        if !now.has(&schema) {
            return None;
        }
        let rest = now.without(&schema);
        let own = change.before.as_deref().map(SearchPath::parse);
        if own.as_ref() != Some(&rest) && rest == without_setting(around, role.as_ref()) {
            return Some(path::reset(database, role.as_ref()));
        }
        Some(path::set(database, role.as_ref(), &rest))
    };
    plan.paths.iter().filter_map(restore).collect()
}

/// What would hold if nothing were set for exactly this role or database.
fn without_setting(around: &Surroundings, role: Option<&Ident>) -> SearchPath {
    let above = role.and_then(|role| everywhere(around, role)).map(|setting| setting.path.as_str());
    SearchPath::parse(above.unwrap_or(&around.default_path))
}

fn setting<'s>(around: &'s Surroundings, role: Option<&Ident>) -> Option<&'s PathSetting> {
    around.paths.iter().find(|setting| setting.here_only && setting.role.as_ref() == role)
}

fn everywhere<'s>(around: &'s Surroundings, role: &Ident) -> Option<&'s PathSetting> {
    around.paths.iter().find(|setting| !setting.here_only && setting.role.as_ref() == Some(role))
}

/// Statements that make the changes.
pub(super) fn statements(changes: &[PathChange], database: &str) -> Vec<String> {
    let statement = |change: &PathChange| {
        let role = change.role.as_deref().map(Ident::new);
        path::set(database, role.as_ref(), &SearchPath::parse(&change.after))
    };
    changes.iter().map(statement).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(paths: &[(Option<&str>, bool, &str)]) -> Surroundings {
        let setting = |(role, here_only, path): &(Option<&str>, bool, &str)| PathSetting {
            role: role.map(Ident::new),
            here_only: *here_only,
            path: (*path).to_owned(),
        };
        Surroundings {
            default_path: r#""$user", public"#.to_owned(),
            paths: paths.iter().map(setting).collect(),
            ..Surroundings::default()
        }
    }

    fn told(paths: &[(Option<&str>, bool, &str)]) -> Vec<String> {
        let changes = changes(&Ident::new("films"), &[Ident::new("public")], &around(paths));
        changes
            .iter()
            .map(|c| format!("{} -> {}", c.role.as_deref().unwrap_or("database"), c.after))
            .collect()
    }

    #[test]
    fn every_path_that_names_the_old_schema_gets_the_new_one() {
        assert_eq!(told(&[]), [r#"database -> "$user", "films", "public""#]);
        assert_eq!(
            told(&[
                (None, true, "public, tools"),
                (Some("app"), false, "public"),
                (Some("other"), true, "other"),
                (Some("ready"), true, "films, public"),
            ]),
            [r#"database -> "films", "public", "tools""#, r#"app -> "films", "public""#]
        );
    }

    #[test]
    fn a_role_s_path_in_the_database_goes_before_its_path_everywhere() {
        let paths = [(Some("app"), false, "public"), (Some("app"), true, "app")];
        assert_eq!(told(&paths), [r#"database -> "$user", "films", "public""#]);
    }
}
