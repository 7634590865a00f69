//! Which table on the target a change belongs to.

use super::{
    binary::BinaryTypes,
    layout::{Layout, RelationMemory},
    table::{self, TargetTable},
};
use super::{
    reshape::reshaped,
    shape::{self, CatalogTable},
};
use crate::{FollowSpec, Route, StreamError};
use cleave_journal::Shape;
use cleave_model::{Lsn, Oid, QualifiedName};
use cleave_proto::pgoutput::Relation;
use std::{collections::HashMap, sync::Arc};
use tokio_postgres::Client;

/// Routes, the target's tables as they are now, and the layouts of relations met.
pub(super) struct Router {
    spec: Arc<FollowSpec>,
    /// As the tables' columns are at this place of the stream.
    routes: Vec<Route>,
    starts: HashMap<Oid, Lsn>,
    /// The source's tables as they are at this place of the stream, as far as that is recorded.
    shapes: HashMap<Oid, Shape>,
    memory: RelationMemory,
    binary: BinaryTypes,
    tables: HashMap<Oid, Arc<TargetTable>>,
    layouts: HashMap<Oid, (Arc<Relation>, Arc<Layout>)>,
    serial: u64,
}

impl Router {
    pub(super) fn new(
        spec: Arc<FollowSpec>,
        memory: RelationMemory,
        binary: BinaryTypes,
        shapes: Vec<Shape>,
    ) -> Self {
        let starts =
            spec.routes.iter().map(|Route { source_oid, start, .. }| (*source_oid, *start)).collect();
        Self {
            routes: reshaped(&spec.routes, &shapes),
            shapes: shapes.into_iter().map(|shape| (shape.source_oid, shape)).collect(),
            spec,
            starts,
            memory,
            binary,
            tables: HashMap::new(),
            layouts: HashMap::new(),
            serial: 0,
        }
    }

    /// True if a change of this relation, committed there, is to be applied; false if it is in the table's copy, or
    /// left to others.
    pub(super) fn wants(&self, relation: &Relation, commit_lsn: Lsn) -> Result<bool, StreamError> {
        match self.starts.get(&relation.oid) {
            Some(start) => Ok(commit_lsn >= *start),
            None if self.spec.left_out.contains(&relation.oid) => Ok(false),
            None => Err(StreamError::UnroutedTable { table: relation.name.clone() }),
        }
    }

    /// Reads the target's tables again: at a switch their names change.
    pub(super) async fn reload(&mut self, client: &Client) -> Result<(), StreamError> {
        self.layouts.clear();
        self.tables = table::read(client, &self.routes).await?;
        Ok(())
    }

    /// The target's table of a relation.
    pub(super) fn table(&self, relation: &Relation) -> Result<&Arc<TargetTable>, StreamError> {
        self.tables
            .get(&relation.oid)
            .ok_or_else(|| StreamError::UnroutedTable { table: relation.name.clone() })
    }

    /// What is known of a relation whose columns are others than those it names; none if they are not.
    pub(super) fn outdated(&self, relation: &Arc<Relation>) -> Option<&Shape> {
        let is_met = |(described, _): &(Arc<Relation>, Arc<Layout>)| Arc::ptr_eq(described, relation);
        if self.layouts.get(&relation.oid).is_some_and(is_met) {
            return None;
        }
        self.shapes.get(&relation.oid).filter(|known| !shape::is_known(known, &shape::said(relation)))
    }

    /// The table as it is known, if the catalog has it otherwise.
    pub(super) fn differs(&self, now: &CatalogTable) -> Option<&Shape> {
        let as_now = now.shape();
        self.shapes.get(&now.oid).filter(|known| {
            (&known.columns, known.last_number, known.filenode)
                != (&as_now.columns, as_now.last_number, as_now.filenode)
        })
    }

    /// From here on the table looks like this.
    pub(super) fn take_shape(&mut self, shape: Shape) {
        if let Some(route) = self.routes.iter_mut().find(|route| route.source_oid == shape.source_oid) {
            *route = route.reshaped(&shape);
        }
        self.layouts.remove(&shape.source_oid);
        self.shapes.insert(shape.source_oid, shape);
    }

    /// What is known of a table.
    pub(super) fn shape(&self, source_oid: Oid) -> Option<&Shape> {
        self.shapes.get(&source_oid)
    }

    /// The target's table of a source's.
    pub(super) fn target_of(&self, source_oid: Oid) -> Result<Oid, StreamError> {
        let route = self.routes.iter().find(|route| route.source_oid == source_oid);
        route.map(|route| route.target_oid).ok_or_else(|| StreamError::RouteInvalid {
            source_oid,
            problem: "the stream has no route for it".to_owned(),
        })
    }

    /// The name of a source's table, as it is called at the target.
    pub(super) fn name(&self, source_oid: Oid) -> Result<QualifiedName, StreamError> {
        let invalid =
            || StreamError::RouteInvalid { source_oid, problem: "its table is not known".to_owned() };
        self.tables.get(&source_oid).map(|table| table.name.clone()).ok_or_else(invalid)
    }

    /// True if values come in binary forms.
    pub(super) fn is_binary(&self) -> bool {
        self.binary.is_safe()
    }

    /// How its rows map.
    pub(super) fn layout(&mut self, relation: &Arc<Relation>) -> Result<Arc<Layout>, StreamError> {
        if let Some((described, layout)) = self.layouts.get(&relation.oid)
            && Arc::ptr_eq(described, relation)
        {
            return Ok(Arc::clone(layout));
        }
        match self.shapes.get(&relation.oid) {
            None => self.memory.check(relation)?,
            Some(known) => {
                let said = shape::said(relation);
                if !shape::is_known(known, &said) {
                    let difference = shape::difference(known, &said);
                    return Err(StreamError::TableChanged { table: relation.name.clone(), difference });
                }
            }
        }
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
