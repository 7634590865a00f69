//! A cell as a statement's parameter: the very bytes that the source sent.

use crate::StreamError;
use bytes::{BufMut, Bytes, BytesMut};
use cleave_model::QualifiedName;
use cleave_proto::pgoutput::Cell;
use std::{error::Error, fmt};
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

/// A value in the form it came in. Its `Debug` shows no value.
#[derive(Clone)]
pub(super) enum Parameter {
    Null,
    Text(Bytes),
    Binary(Bytes),
}

impl Parameter {
    /// A cell that must have a value or be null.
    pub(super) fn new(table: &QualifiedName, cell: &Cell) -> Result<Self, StreamError> {
        match cell {
            Cell::Null => Ok(Self::Null),
            Cell::Text(bytes) => Ok(Self::Text(bytes.clone())),
            Cell::Binary(bytes) => Ok(Self::Binary(bytes.clone())),
            Cell::Unchanged => Err(StreamError::Protocol {
                problem: format!("a change of {table} leaves out a value that is needed to find its row"),
            }),
        }
    }

    /// Bytes of the value.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::Text(bytes) | Self::Binary(bytes) => bytes.len(),
        }
    }
}

impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parameter({} bytes)", self.bytes())
    }
}

impl ToSql for Parameter {
    fn to_sql(&self, _ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Text(bytes) | Self::Binary(bytes) => {
                out.put_slice(bytes);
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }

    fn encode_format(&self, _ty: &Type) -> Format {
        match self {
            Self::Binary(_) => Format::Binary,
            Self::Null | Self::Text(_) => Format::Text,
        }
    }

    fn to_sql_checked(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.to_sql(ty, out)
    }
}
