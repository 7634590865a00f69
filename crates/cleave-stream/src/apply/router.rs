//! Which table on the target a change belongs to.

use super::{
    binary::BinaryTypes,
    layout::{Layout, RelationMemory},
    table::{self, TargetTable},
};
use crate::{FollowSpec, Route, StreamError};
use cleave_model::{Lsn, Oid};
use cleave_proto::pgoutput::Relation;
use std::{collections::HashMap, sync::Arc};
use tokio_postgres::Client;

/// Routes, the target's tables as they are now, and the layouts of relations met.
pub(super) struct Router {
    spec: Arc<FollowSpec>,
    routes: HashMap<Oid, Lsn>,
    memory: RelationMemory,
    binary: BinaryTypes,
    tables: HashMap<Oid, Arc<TargetTable>>,
    layouts: HashMap<Oid, (Arc<Relation>, Arc<Layout>)>,
    serial: u64,
}

impl Router {
    pub(super) fn new(spec: Arc<FollowSpec>, memory: RelationMemory, binary: BinaryTypes) -> Self {
        let routes =
            spec.routes.iter().map(|Route { source_oid, start, .. }| (*source_oid, *start)).collect();
        Self { spec, routes, memory, binary, tables: HashMap::new(), layouts: HashMap::new(), serial: 0 }
    }

    /// True if a change of this relation, committed there, is to be applied; false if it is in the table's copy, or
    /// left to others.
    pub(super) fn wants(&self, relation: &Relation, commit_lsn: Lsn) -> Result<bool, StreamError> {
        match self.routes.get(&relation.oid) {
            Some(start) => Ok(commit_lsn >= *start),
            None if self.spec.left_out.contains(&relation.oid) => Ok(false),
            None => Err(StreamError::UnroutedTable { table: relation.name.clone() }),
        }
    }

    /// Reads the target's tables again: at a switch their names change.
    pub(super) async fn reload(&mut self, client: &Client) -> Result<(), StreamError> {
        self.layouts.clear();
        self.tables = table::read(client, &self.spec.routes).await?;
        Ok(())
    }

    /// The target's table of a relation.
    pub(super) fn table(&self, relation: &Relation) -> Result<&Arc<TargetTable>, StreamError> {
        self.tables
            .get(&relation.oid)
            .ok_or_else(|| StreamError::UnroutedTable { table: relation.name.clone() })
    }

    /// How its rows map.
    pub(super) fn layout(&mut self, relation: &Arc<Relation>) -> Result<Arc<Layout>, StreamError> {
        if let Some((described, layout)) = self.layouts.get(&relation.oid)
            && Arc::ptr_eq(described, relation)
        {
            return Ok(Arc::clone(layout));
        }
        self.memory.check(relation)?;
        self.serial += 1;
        let layout = Arc::new(Layout::new(self.serial, relation, self.table(relation)?)?);
        for column in &relation.columns {
            if !self.binary.agrees(relation.oid, &column.name, column.type_oid) {
                let difference = format!("the type of column {} was another", column.name);
                return Err(StreamError::TableChanged { table: relation.name.clone(), difference });
            }
        }
        self.layouts.insert(relation.oid, (Arc::clone(relation), Arc::clone(&layout)));
        Ok(layout)
    }
}
