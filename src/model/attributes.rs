//! Attributes of a node, by name and type.

use super::error::{Refusal, Rule};
use super::guard::describe;
use tract_onnx::pb::{AttributeProto, NodeProto};

/// Reads the attributes of one node; every refusal names the operator and the attribute.
#[derive(Clone, Copy)]
pub(crate) struct Attributes<'a>(pub &'a NodeProto);

// Numbers of AttributeProto.AttributeType.
const FLOAT: i32 = 1;
const INT: i32 = 2;
const STRING: i32 = 3;
const FLOATS: i32 = 6;
const INTS: i32 = 7;
const STRINGS: i32 = 8;

impl<'a> Attributes<'a> {
    /// The node as named in errors.
    pub fn item(&self) -> String {
        describe(&self.0.op_type, &self.0.name)
    }

    /// A refusal of this node.
    pub fn refuse(&self, rule: Rule, why: impl Into<String>) -> Refusal {
        Refusal::new(rule, self.item(), why)
    }

    pub fn find(&self, name: &str) -> Option<&'a AttributeProto> {
        self.0.attribute.iter().find(|a| a.name == name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn typed(&self, name: &str, of_type: i32) -> Result<Option<&'a AttributeProto>, Refusal> {
        match self.find(name) {
            Some(a) if a.r#type == of_type => Ok(Some(a)),
            Some(_) => Err(self.refuse(Rule::Operator, format!("`{name}` has another type"))),
            None => Ok(None),
        }
    }

    pub fn float(&self, name: &str, default: f32) -> Result<f32, Refusal> {
        Ok(self.typed(name, FLOAT)?.map_or(default, |a| a.f))
    }

    pub fn int(&self, name: &str, default: i64) -> Result<i64, Refusal> {
        Ok(self.typed(name, INT)?.map_or(default, |a| a.i))
    }

    pub fn string(&self, name: &str, default: &'a str) -> Result<&'a str, Refusal> {
        match self.typed(name, STRING)? {
            Some(a) => std::str::from_utf8(&a.s)
                .map_err(|_| self.refuse(Rule::Operator, format!("`{name}` is not UTF-8"))),
            None => Ok(default),
        }
    }

    /// A list of floats; empty when absent.
    pub fn floats(&self, name: &str) -> Result<&'a [f32], Refusal> {
        Ok(self.typed(name, FLOATS)?.map_or(&[], |a| &a.floats))
    }

    /// A list of integers; empty when absent.
    pub fn ints(&self, name: &str) -> Result<&'a [i64], Refusal> {
        Ok(self.typed(name, INTS)?.map_or(&[], |a| &a.ints))
    }

    /// A list of strings as bytes; empty when absent.
    pub fn strings(&self, name: &str) -> Result<&'a [Vec<u8>], Refusal> {
        Ok(self.typed(name, STRINGS)?.map_or(&[], |a| &a.strings))
    }
}
