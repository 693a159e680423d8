//! One computed vector, and the part of it a model takes.

use super::schema::{FEATURE_COUNT, Feature, SCHEMA, index_of};
use crate::base::Reason;

/// Every feature at one moment, in schema order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FeatureVector {
    /// The values, always finite; 0 and without meaning where `fault` is not 0.
    pub values: [f32; FEATURE_COUNT],
    /// Why a value may not be used: a [`Reason`] number, or 0 when it may.
    pub fault: [u16; FEATURE_COUNT],
}

impl FeatureVector {
    /// Nothing usable: every input is missing.
    pub const EMPTY: Self = Self {
        values: [0.0; FEATURE_COUNT],
        fault: [Reason::FeatureInputMissing as u16; FEATURE_COUNT],
    };

    /// The value, or why there is none.
    ///
    /// # Errors
    /// The reason: not warm, input missing, stale or invalid, or not finite.
    pub fn get(&self, feature: Feature) -> Result<f32, Reason> {
        match self.fault[feature.index()] {
            0 => Ok(self.values[feature.index()]),
            number => Err(reason(number)),
        }
    }

    /// Stores a value; `None` is a feature that has not seen enough.
    #[inline]
    pub(super) fn put(&mut self, feature: Feature, value: Option<f64>) {
        let (value, fault) = match value.map(|v| v as f32) {
            Some(v) if v.is_finite() => (v, Reason::None),
            Some(_) => (0.0, Reason::FeatureNotFinite),
            None => (0.0, Reason::FeatureWarmUp),
        };
        self.values[feature.index()] = value;
        self.fault[feature.index()] = fault as u16;
    }

    /// Makes the feature at `index` unusable.
    #[inline]
    pub(super) fn refuse(&mut self, index: usize, reason: Reason) {
        self.values[index] = 0.0;
        self.fault[index] = reason as u16;
    }
}

impl Default for FeatureVector {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// A model asks for a feature that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownFeature {
    /// No feature has this name.
    #[error("the schema has no feature {name:?} (input {position} of the model)")]
    Name {
        /// The name asked for.
        name: String,
        /// Its place in the model's list.
        position: usize,
    },
    /// The same feature twice.
    #[error("feature {name:?} is listed twice (input {position} of the model)")]
    Twice {
        /// The name asked for.
        name: String,
        /// The place of the second one in the model's list.
        position: usize,
    },
}

/// Which features a model takes, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    indices: Vec<u16>,
}

impl Selection {
    /// From the names in a model's card.
    ///
    /// # Errors
    /// The first name the schema does not have, or has already been listed. A missing feature is
    /// never replaced by anything.
    pub fn new(names: &[String]) -> Result<Self, UnknownFeature> {
        let mut indices = Vec::with_capacity(names.len());
        for (position, name) in names.iter().enumerate() {
            let index = index_of(name)
                .ok_or_else(|| UnknownFeature::Name { name: name.clone(), position })?;
            let index = u16::try_from(index).expect("the schema is shorter than u16::MAX");
            if indices.contains(&index) {
                return Err(UnknownFeature::Twice { name: name.clone(), position });
            }
            indices.push(index);
        }
        Ok(Self { indices })
    }

    /// Every feature, in schema order.
    pub fn all() -> Self {
        Self { indices: (0..SCHEMA.len() as u16).collect() }
    }

    /// Number of features.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// True when the model takes no feature.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Schema indices in the model's order.
    pub fn indices(&self) -> &[u16] {
        &self.indices
    }

    /// Copies the selected values into `out`, in the model's order.
    ///
    /// # Errors
    /// The reason and the schema index of the first unusable feature; `out` is then partly written
    /// and must not be used. [`Reason::SchemaMismatch`] with index `u16::MAX` when `out` is not
    /// exactly as long as the selection.
    #[inline]
    pub fn gather(&self, vector: &FeatureVector, out: &mut [f32]) -> Result<(), (Reason, u16)> {
        if out.len() != self.indices.len() {
            return Err((Reason::SchemaMismatch, u16::MAX));
        }
        for (slot, &index) in out.iter_mut().zip(&self.indices) {
            let fault = vector.fault[index as usize];
            if fault != 0 {
                return Err((reason(fault), index));
            }
            *slot = vector.values[index as usize];
        }
        Ok(())
    }
}

/// The reason of a fault number. A vector's fields are public: a number that is no reason still
/// refuses.
fn reason(number: u16) -> Reason {
    Reason::from_u16(number).unwrap_or(Reason::InvariantBroken)
}
