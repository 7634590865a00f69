//! What to send to the target for a segment. Pure.

use super::{
    fold::{Net, Row, UpdateGroup, fold},
    layout::Layout,
    many::{self, Form, Many},
    parameter::Parameter,
    segment::{Segment, TableChanges},
    statement::Shape,
};
use crate::StreamError;
use bytes::Bytes;
use cleave_model::Oid;
use std::sync::Arc;

/// Fewer rows than this of one kind go one by one.
const SET_ROWS_MIN: usize = 8;

/// Something to send, in this order.
#[derive(Debug)]
pub(super) enum Step {
    /// A change by itself: its place in the segment.
    Change(usize),
    /// A statement that must meet so many rows.
    Statement { layout: Arc<Layout>, shape: Shape, parameters: Vec<Parameter>, rows: usize },
    /// New rows.
    Copy { layout: Arc<Layout>, form: Form, data: Vec<Bytes>, rows: usize },
}

impl Step {
    /// The table that it writes.
    pub(super) fn table<'a>(&'a self, segment: &'a Segment) -> Option<&'a Arc<Layout>> {
        match self {
            Self::Change(place) => segment.changes.get(*place).map(|(layout, _)| layout),
            Self::Statement { layout, .. } | Self::Copy { layout, .. } => Some(layout),
        }
    }
}

/// Deletes and updates of all tables, then the new rows: what a COPY needs to have been written before it is then
/// waited for once. The order between tables does not count, as nothing in replica mode looks from one to another.
/// `may_fold` says of a table, by its OID on the target, whether its changes may be folded.
pub(super) fn steps(segment: &Segment, mut may_fold: impl FnMut(Oid) -> bool) -> Vec<Step> {
    let Some(tables) = segment.by_table() else {
        return (0..segment.changes.len()).map(Step::Change).collect();
    };
    let (mut steps, mut last) = (Vec::new(), Vec::new());
    for TableChanges { layout, changes, places } in tables {
        let fits = layout.set_based && may_fold(layout.table.route.target_oid);
        let net = if fits { fold(layout, &changes).ok() } else { None };
        let written = net.and_then(|net| {
            let before = deletes_and_updates(layout, &net).ok()?;
            Some((before, inserts(layout, &net.inserts).ok()?))
        });
        match written {
            Some((before, new)) => {
                steps.extend(before);
                last.extend(new);
            }
            None => steps.extend(places.into_iter().map(Step::Change)),
        }
    }
    steps.append(&mut last);
    steps
}

fn deletes_and_updates(layout: &Arc<Layout>, net: &Net<'_>) -> Result<Vec<Step>, StreamError> {
    let statement =
        |shape, parameters, rows| Step::Statement { layout: Arc::clone(layout), shape, parameters, rows };
    let mut steps = Vec::new();
    let form = many::delete_form(layout, net).filter(|_| net.deletes.len() >= SET_ROWS_MIN);
    if let Some(form) = form {
        let parameters = many::delete_parameters(layout, net, form);
        steps.push(statement(Shape::Many(Many::Delete { form }), parameters, net.deletes.len()));
    } else {
        for find in &net.deletes {
            steps.push(statement(Shape::Delete, values(layout, &Row::Sent(find), &layout.key)?, 1));
        }
    }
    for group in &net.updates {
        let UpdateGroup { set, rows } = group;
        let form = many::update_form(layout, group).filter(|_| rows.len() >= SET_ROWS_MIN);
        if let Some(form) = form {
            let parameters = many::update_parameters(layout, group, form);
            steps.push(statement(
                Shape::Many(Many::Update { set: set.clone(), form }),
                parameters,
                rows.len(),
            ));
            continue;
        }
        for (find, row) in rows {
            let mut parameters = values(layout, row, set)?;
            parameters.extend(values(layout, &Row::Sent(find), &layout.key)?);
            steps.push(statement(Shape::Update { set: set.clone(), expect: Vec::new() }, parameters, 1));
        }
    }
    Ok(steps)
}

fn inserts(layout: &Arc<Layout>, rows: &[Row<'_>]) -> Result<Vec<Step>, StreamError> {
    let form = many::insert_form(layout, rows).filter(|_| rows.len() >= SET_ROWS_MIN);
    if let Some(form) = form {
        let data = many::pieces(layout, rows, form).map(bytes::BytesMut::freeze).collect();
        return Ok(vec![Step::Copy { layout: Arc::clone(layout), form, data, rows: rows.len() }]);
    }
    let all: Vec<usize> = (0..layout.columns.len()).collect();
    let insert = |row| {
        let parameters = values(layout, row, &all)?;
        Ok(Step::Statement { layout: Arc::clone(layout), shape: Shape::Insert, parameters, rows: 1 })
    };
    rows.iter().map(insert).collect()
}

fn values(layout: &Layout, row: &Row<'_>, places: &[usize]) -> Result<Vec<Parameter>, StreamError> {
    places.iter().map(|place| Parameter::new(&layout.table.name, row.cell(layout, *place))).collect()
}
