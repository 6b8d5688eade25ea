//! What the compiled rules take.

use super::{Engine, Node};
use crate::engine::{item::Compiled, program::Program};

/// Memory of an [`Engine`] by part, in bytes, as its tables are sized; regular expressions
/// keep more, which their compilation bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The searches for witnesses.
    pub programs: usize,
    /// The largest of them.
    pub largest_program: usize,
    /// The questions that rules ask, each once.
    pub items: usize,
    /// The rules' conditions.
    pub conditions: usize,
    /// The tables that say where an event goes and which of its fields are read.
    pub tables: usize,
    /// Rules that no witness finds, so that they are evaluated on every event of their log
    /// source; counted, not bytes.
    pub unwitnessed_rules: usize,
}

impl Memory {
    /// All parts together, in bytes.
    pub fn total(&self) -> usize {
        self.programs + self.items + self.conditions + self.tables
    }
}

impl Engine {
    /// What the compiled form takes, without the rules themselves.
    pub fn memory(&self) -> Memory {
        let programs: Vec<usize> = self.programs.iter().map(Program::memory_bytes).collect();
        Memory {
            programs: programs.iter().sum(),
            largest_program: programs.into_iter().max().unwrap_or(0),
            items: self.items.iter().map(Compiled::memory_bytes).sum(),
            conditions: self.exprs.iter().map(node_bytes).sum(),
            tables: self.columns.memory_bytes()
                + self.plans.values().map(|plan| size_of_val(&**plan) + 64).sum::<usize>(),
            unwitnessed_rules: self.programs.iter().map(Program::always).sum(),
        }
    }

    /// [`Memory::total`].
    pub fn memory_bytes(&self) -> usize {
        self.memory().total()
    }
}

fn node_bytes(node: &Node) -> usize {
    let inner = match node {
        Node::And(parts) | Node::Or(parts) => parts.iter().map(node_bytes).sum(),
        Node::Not(inner) => node_bytes(inner),
        Node::Item(_) => 0,
    };
    size_of::<Node>() + inner
}
