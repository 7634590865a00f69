//! A service's schema and roles in a database: made or adopted, and taken away again.
//!
//! The owner role owns the schema and makes new objects in it; the reader role may read all of them, those of later
//! too. PUBLIC has nothing there.

use cleave_model::{Ident, surroundings::DefaultPrivilege};

/// What is wanted, and what of it has to be made.
#[derive(Clone, Debug)]
pub struct ServiceSchema<'a> {
    /// The schema.
    pub schema: &'a Ident,
    /// Who owns it; `None`: the role that Cleave connects as.
    pub owner: Option<&'a Ident>,
    /// Who may read all of it.
    pub reader: Option<&'a Ident>,
    /// Of owner and reader, those that do not exist.
    pub missing_roles: &'a [Ident],
    /// True if the connected role has to become a member of the owner: only members can give objects to a role.
    pub join_owner: bool,
    /// The schema's owner, if it exists.
    pub schema_owner: Option<&'a Ident>,
    /// Default privileges of the schemas that tables come from: they hold in the new one too.
    pub default_privileges: &'a [DefaultPrivilege],
    /// Roles that must be able to name what is in it; `None` for PUBLIC.
    pub users: &'a [Option<Ident>],
}

/// Makes roles and schema, gives the privileges. For one transaction.
pub fn create(wanted: &ServiceSchema<'_>) -> Vec<String> {
    let schema = wanted.schema.quoted();
    let mut statements: Vec<String> =
        wanted.missing_roles.iter().map(|role| format!("create role {} nologin", role.quoted())).collect();
    if let Some(owner) = wanted.owner.filter(|_| wanted.join_owner) {
        statements.push(format!("grant {} to current_user", owner.quoted()));
    }
    match (wanted.schema_owner, wanted.owner) {
        (None, Some(owner)) => {
            statements.push(format!("create schema {schema} authorization {}", owner.quoted()));
        }
        (None, None) => statements.push(format!("create schema {schema}")),
        (Some(now), Some(owner)) if now != owner => {
            statements.push(format!("alter schema {schema} owner to {}", owner.quoted()));
        }
        (Some(_), _) => {}
    }
    statements.push(format!("revoke all on schema {schema} from public"));
    for user in wanted.users {
        let user = user.as_ref().map_or_else(|| "public".to_owned(), Ident::quoted);
        statements.push(format!("grant usage on schema {schema} to {user}"));
    }
    statements.extend(defaults(wanted, &schema));
    statements
}

fn defaults(wanted: &ServiceSchema<'_>, schema: &str) -> Vec<String> {
    let maker = wanted.owner.map_or_else(|| "current_user".to_owned(), Ident::quoted);
    let mut statements = Vec::new();
    if let Some(reader) = wanted.reader.map(Ident::quoted) {
        statements.push(format!("grant usage on schema {schema} to {reader}"));
        for objects in ["tables", "sequences"] {
            statements.push(format!(
                "alter default privileges for role {maker} in schema {schema} grant select on {objects} to {reader}"
            ));
        }
    }
    // The built-in default lets everybody execute; only a default without a schema can take that away.
    if wanted.owner.is_some_and(|owner| wanted.missing_roles.contains(owner)) {
        statements.push(format!(
            "alter default privileges for role {maker} revoke execute on functions from public"
        ));
    }
    for default in wanted.default_privileges {
        let grantee = default.grant.grantee.as_ref().map_or_else(|| "public".to_owned(), Ident::quoted);
        statements.push(format!(
            "alter default privileges for role {} in schema {schema} grant {} on {} to {grantee}{}",
            default.role.quoted(),
            default.grant.privilege.to_lowercase(),
            default.objects,
            if default.grant.grantable { " with grant option" } else { "" },
        ));
    }
    statements
}

/// Takes away what [`create`] has made. A schema that is not empty is not dropped: the statement fails.
pub fn drop(wanted: &ServiceSchema<'_>) -> Vec<String> {
    let schema = wanted.schema.quoted();
    let mut statements = Vec::new();
    match wanted.schema_owner {
        None => statements.push(format!("drop schema if exists {schema}")),
        Some(before) => {
            if wanted.owner.is_some_and(|owner| owner != before) {
                statements.push(format!("alter schema {schema} owner to {}", before.quoted()));
            }
            for role in wanted.missing_roles {
                statements.push(format!("revoke all on schema {schema} from {}", role.quoted()));
            }
            let maker = wanted.owner.map_or_else(|| "current_user".to_owned(), Ident::quoted);
            if let Some(reader) = wanted.reader.map(Ident::quoted) {
                for objects in ["tables", "sequences"] {
                    statements.push(format!(
                        "alter default privileges for role {maker} in schema {schema} revoke select on {objects} from {reader}"
                    ));
                }
            }
        }
    }
    if let Some(owner) = wanted.owner.filter(|owner| wanted.missing_roles.contains(owner)) {
        statements.push(format!(
            "alter default privileges for role {} grant execute on functions to public",
            owner.quoted()
        ));
    }
    statements
        .extend(wanted.missing_roles.iter().map(|role| format!("drop role if exists {}", role.quoted())));
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_existed_before_is_adopted_and_left_behind() {
        let (schema, owner, before) = (Ident::new("films"), Ident::new("films_svc"), Ident::new("dba"));
        let wanted = ServiceSchema {
            schema: &schema,
            owner: Some(&owner),
            reader: None,
            missing_roles: &[],
            join_owner: false,
            schema_owner: Some(&before),
            default_privileges: &[],
            users: &[None],
        };
        assert_eq!(
            create(&wanted),
            [
                r#"alter schema "films" owner to "films_svc""#,
                r#"revoke all on schema "films" from public"#,
                r#"grant usage on schema "films" to public"#
            ]
        );
        assert_eq!(drop(&wanted), [r#"alter schema "films" owner to "dba""#]);
    }

    #[test]
    fn what_was_made_is_taken_away() {
        let (schema, owner, reader) = (Ident::new("films"), Ident::new("films_svc"), Ident::new("films_ro"));
        let missing = [owner.clone(), reader.clone()];
        let wanted = ServiceSchema {
            schema: &schema,
            owner: Some(&owner),
            reader: Some(&reader),
            missing_roles: &missing,
            join_owner: true,
            schema_owner: None,
            default_privileges: &[],
            users: &[],
        };
        let made = create(&wanted);
        assert_eq!(made[0], r#"create role "films_svc" nologin"#);
        assert_eq!(made[2], r#"grant "films_svc" to current_user"#);
        assert_eq!(made[3], r#"create schema "films" authorization "films_svc""#);
        let gone = drop(&wanted);
        assert_eq!(gone[0], r#"drop schema if exists "films""#);
        assert_eq!(gone[2..], [r#"drop role if exists "films_svc""#, r#"drop role if exists "films_ro""#]);
    }
}
