//! What counts of a state where states are compared: from two that agree in it, the same can
//! happen. A model checker takes it for the state.

use serde::{Serialize, Serializer};

use crate::state::State;
use crate::table::Table;

/// See [`State::normalised`].
#[derive(Clone, Copy, Debug)]
pub struct Normal<'a>(&'a State);

impl State {
    /// The tables without what only says who asked what before (receipts, counted refusals,
    /// redacted texts). Whoever compares ranks the numbers that stand under the names `lease`,
    /// `place` and those of rows, and reads times relative to now.
    pub fn normalised(&self) -> Normal<'_> {
        Normal(self)
    }
}

impl Serialize for Normal<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq;
        let state = self.0;
        let mut tables = serializer.serialize_seq(Some(12))?;
        tables.serialize_element(state.mesh())?;
        tables.serialize_element(&Rows(&state.actors))?;
        tables.serialize_element(&Rows(&state.agents))?;
        tables.serialize_element(&Rows(&state.hosts))?;
        tables.serialize_element(&Rows(&state.gauges))?;
        tables.serialize_element(&Keyed { name: "lease", table: &state.leases })?;
        tables.serialize_element(&Keyed { name: "place", table: &state.waiters })?;
        tables.serialize_element(&Rows(&state.tasks))?;
        tables.serialize_element(&Rows(&state.lands))?;
        tables.serialize_element(&Rows(&state.repos))?;
        tables.serialize_element(&Rows(&state.notes))?;
        tables.serialize_element(&Rows(&state.settings))?;
        tables.end()
    }
}

/// A table, row by row.
struct Rows<'a, K, V>(&'a Table<K, V>);

impl<K: Ord + Clone + Serialize, V: Serialize> Serialize for Rows<'_, K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}

/// A table whose keys are numbers of records, under the name of their kind.
struct Keyed<'a, K, V> {
    name: &'static str,
    table: &'a Table<K, V>,
}

impl<K: Ord + Clone + Serialize, V: Serialize> Serialize for Keyed<'_, K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.table.iter().map(|(key, row)| Row(self.name, key, row)))
    }
}

struct Row<'a, K, V>(&'static str, &'a K, &'a V);

impl<K: Serialize, V: Serialize> Serialize for Row<'_, K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut row = serializer.serialize_struct("row", 2)?;
        row.serialize_field(self.0, self.1)?;
        row.serialize_field("row", self.2)?;
        row.end()
    }
}
