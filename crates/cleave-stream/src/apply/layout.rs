//! How the cells of a source's row map to a target's columns, and what does not fit.

use super::table::{TargetColumn, TargetTable};
use crate::{Identity, StreamError};
use cleave_model::Oid;
use cleave_proto::pgoutput::{Relation, RelationColumn, ReplicaIdentity};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// A relation as it was described, laid over the target's table.
#[derive(Debug)]
pub(super) struct Layout {
    /// Unique per layout of a writer's life: part of the key of its statements.
    pub(super) serial: u64,
    /// As the source described it.
    pub(super) relation: Arc<Relation>,
    pub(super) table: Arc<TargetTable>,
    /// The columns to write, in the relation's order; those that the target generates are left out.
    pub(super) columns: Vec<LayoutColumn>,
    /// Places in `columns` that tell one row from another; empty if all values do.
    pub(super) key: Vec<usize>,
    /// Its changes may be folded per key and written many at once.
    pub(super) set_based: bool,
}

/// A column of it.
#[derive(Debug)]
pub(super) struct LayoutColumn {
    /// Its place in the source's tuples.
    pub(super) cell: usize,
    pub(super) target: TargetColumn,
}

impl Layout {
    /// Lays a relation over a table.
    pub(super) fn new(
        serial: u64,
        relation: &Arc<Relation>,
        table: &Arc<TargetTable>,
    ) -> Result<Self, StreamError> {
        let changed =
            |difference: String| StreamError::TableChanged { table: relation.name.clone(), difference };
        let routes = &table.route.columns;
        let mut columns = Vec::with_capacity(relation.columns.len());
        for (cell, said) in relation.columns.iter().enumerate() {
            let Some(routed) = routes.iter().find(|routed| routed.source_name == said.name) else {
                return Err(changed(format!("it has a column {} that the stream does not know", said.name)));
            };
            let Some(target) = table.columns.get(&routed.target_name) else {
                return Err(changed(format!("column {} is missing on the target", routed.target_name)));
            };
            if !target.generated {
                columns.push(LayoutColumn { cell, target: target.clone() });
            }
        }
        let said = |name: &cleave_model::Ident| relation.columns.iter().any(|column| column.name == *name);
        if let Some(missing) = routes.iter().find(|routed| !said(&routed.source_name)) {
            return Err(changed(format!("column {} is not there any more", missing.source_name)));
        }
        let key = key(relation, table, &columns).map_err(changed)?;
        // A value that cannot be set takes statements of its own.
        let fixed =
            |place: usize, column: &LayoutColumn| column.target.identity_always && !key.contains(&place);
        let set_based = table.set_based
            && relation.replica_identity != ReplicaIdentity::Full
            && !columns.iter().enumerate().any(|(place, column)| fixed(place, column));
        let relation = Arc::clone(relation);
        Ok(Self { serial, relation, table: Arc::clone(table), columns, key, set_based })
    }
}

/// The places of the key's columns.
fn key(relation: &Relation, table: &TargetTable, columns: &[LayoutColumn]) -> Result<Vec<usize>, String> {
    let full = relation.replica_identity == ReplicaIdentity::Full;
    let Identity::Key(names) = &table.route.identity else {
        return if full { Ok(Vec::new()) } else { Err("its replica identity is not full any more".into()) };
    };
    let mut key = Vec::with_capacity(names.len());
    for name in names {
        let place = columns.iter().position(|column| column.target.name == *name);
        let Some(place) = place else { return Err(format!("key column {name} is not published")) };
        let said: Option<&RelationColumn> = columns.get(place).and_then(|c| relation.columns.get(c.cell));
        // Without an identity at all the source refuses updates and deletes by itself.
        let told = full
            || relation.replica_identity == ReplicaIdentity::Nothing
            || said.is_some_and(|column| column.key);
        if !told {
            return Err(format!("column {name} is not part of its replica identity any more"));
        }
        key.push(place);
    }
    Ok(key)
}

/// What relations looked like when a stream first met them; outlives reconnects.
#[derive(Clone, Debug, Default)]
pub(crate) struct RelationMemory(Arc<Mutex<HashMap<Oid, Arc<Relation>>>>);

impl RelationMemory {
    /// Fails if a column's type is not what it was.
    pub(super) fn check(&self, relation: &Arc<Relation>) -> Result<(), StreamError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = known.entry(relation.oid).or_insert_with(|| Arc::clone(relation));
        let type_of = |column: &RelationColumn| (column.type_oid, column.type_modifier);
        for column in &relation.columns {
            let before = first.columns.iter().find(|known| known.name == column.name);
            if before.is_some_and(|before| type_of(before) != type_of(column)) {
                let difference = format!("the type of column {} is another", column.name);
                return Err(StreamError::TableChanged { table: relation.name.clone(), difference });
            }
        }
        Ok(())
    }
}
