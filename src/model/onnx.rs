//! The ONNX file format's messages, for those who write graphs.
//!
//! Encode with `prost::Message::encode_to_vec` of prost 0.14.

pub use tract_onnx::pb::*;

use tract_onnx::prelude::Framework;

/// Decodes a file whose limits were checked.
pub(crate) fn decode(file: &[u8]) -> Result<ModelProto, String> {
    let mut reader = file;
    tract_onnx::onnx().proto_model_for_read(&mut reader).map_err(|e| format!("{e:#}"))
}
