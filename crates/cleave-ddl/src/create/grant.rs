//! Owners and privileges.

use super::function::{routine, signature};
use super::target::{Script, Target};
use crate::carry::{Carried, Prelude};
use cleave_model::catalog::{Grant, Role, TypeKind};
use cleave_model::{Ident, QualifiedName};
use std::collections::BTreeSet;

/// Privileges, as far as the roles exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// `grant` and `revoke` statements.
    pub statements: Vec<String>,
    /// Roles that the target does not have; nothing was written for them.
    pub missing_roles: BTreeSet<Ident>,
}

/// The privileges of the source on tables, columns, sequences, types and functions, for roles among `roles` (those of
/// the target). The owner's own are not written: an owner has them. Every role that gets something also gets `usage` on
/// the target's schema, as the old schema's own privileges are not carried.
pub fn grants(carried: &Carried<'_>, target: &Target<'_>, roles: &[Role]) -> Grants {
    let names: BTreeSet<&Ident> = roles.iter().map(|role| &role.name).collect();
    let mut writer =
        Writer { script: Script::new(target), names, out: Grants::default(), reached: BTreeSet::new() };
    for table in &carried.tables {
        let object = format!("table {}", writer.script.place(&table.name));
        writer.grant(&table.owner, &table.grants, None, &object);
        for column in &table.columns {
            writer.grant(&table.owner, &column.grants, Some(&column.name), &object);
        }
    }
    for sequence in &carried.sequences {
        let object = format!("sequence {}", writer.script.place(&sequence.name));
        writer.grant(&sequence.owner, &sequence.grants, None, &object);
    }
    for prelude in &carried.prelude {
        if let Prelude::Type(user_type) = prelude {
            let word = if matches!(user_type.kind, TypeKind::Domain { .. }) { "domain" } else { "type" };
            let object = format!("{word} {}", writer.script.place(&user_type.name));
            writer.replace(&user_type.owner, &user_type.grants, &object);
        }
    }
    for function in carried.functions() {
        writer.script.enter(&function.name.schema);
        // GRANT knows aggregates as functions.
        let word = if routine(function.kind) == "procedure" { "procedure" } else { "function" };
        let object = format!("{word} {}", signature(&writer.script, function).replace("(*)", "()"));
        writer.replace(&function.owner, &function.grants, &object);
    }
    writer.finish()
}

/// Makes `owner` the owner of everything carried, `first` having been run by somebody else. Identity and owned
/// sequences follow their tables.
pub fn owners(carried: &Carried<'_>, target: &Target<'_>, owner: &Ident) -> Vec<String> {
    let mut script = Script::new(target);
    let to = owner.quoted();
    // Who gives an object away without being a superuser needs the new owner to have CREATE on its schema.
    for schema in target.kept_schemas(carried) {
        script.push(format!("grant usage, create on schema {} to {to}", schema.quoted()));
    }
    for user_type in carried.types() {
        let word = if matches!(user_type.kind, TypeKind::Domain { .. }) { "domain" } else { "type" };
        let place = script.place(&user_type.name);
        script.push(format!("alter {word} {place} owner to {to}"));
    }
    for function in carried.functions() {
        script.enter(&function.name.schema);
        let object = format!("{} {}", routine(function.kind), signature(&script, function));
        script.push(format!("alter {object} owner to {to}"));
    }
    for table in &carried.tables {
        let place = script.place(&table.name);
        script.push(format!("alter table {place} owner to {to}"));
        for object in &table.statistics {
            let name =
                QualifiedName { schema: target.place(&table.name).schema, name: object.name.name.clone() };
            script.push(format!("alter statistics {} owner to {to}", name.quoted()));
        }
    }
    for sequence in carried.free_sequences() {
        let place = script.place(&sequence.name);
        script.push(format!("alter sequence {place} owner to {to}"));
    }
    script.finish()
}

struct Writer<'a> {
    script: Script<'a>,
    names: BTreeSet<&'a Ident>,
    out: Grants,
    reached: BTreeSet<Option<Ident>>,
}

impl Writer<'_> {
    fn grant(&mut self, owner: &Ident, grants: &[Grant], column: Option<&Ident>, object: &str) {
        for grant in grants.iter().filter(|grant| grant.grantee.as_ref() != Some(owner)) {
            if let Some(grantee) = grant.grantee.as_ref().filter(|grantee| !self.names.contains(grantee)) {
                self.out.missing_roles.insert(grantee.clone());
                continue;
            }
            self.reached.insert(grant.grantee.clone());
            self.script.push(statement(grant, column, object));
        }
    }

    /// Where the default gives PUBLIC something, an access list of one's own takes it away first.
    fn replace(&mut self, owner: &Ident, grants: &[Grant], object: &str) {
        if !grants.is_empty() {
            self.script.push(format!("revoke all on {object} from public"));
            self.grant(owner, grants, None, object);
        }
    }

    fn finish(self) -> Grants {
        let schema = self.script.target.schema.quoted();
        let mut out = self.out;
        out.statements = self.script.finish();
        for grantee in &self.reached {
            out.statements.push(format!("grant usage on schema {schema} to {}", role(grantee.as_ref())));
        }
        out
    }
}

/// One `grant`, as the source has it.
pub(crate) fn statement(grant: &Grant, column: Option<&Ident>, object: &str) -> String {
    let column = column.map(|column| format!(" ({})", column.quoted())).unwrap_or_default();
    let option = if grant.grantable { " with grant option" } else { "" };
    let privilege = grant.privilege.to_lowercase();
    format!("grant {privilege}{column} on {object} to {}{option}", role(grant.grantee.as_ref()))
}

fn role(grantee: Option<&Ident>) -> String {
    grantee.map_or_else(|| "public".to_owned(), Ident::quoted)
}
