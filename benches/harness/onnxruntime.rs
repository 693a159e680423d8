//! onnxruntime through its C interface, with tensors made once and used again: the fastest way its
//! own documentation knows for one row at a time. The library is opened from ORT_DYLIB_PATH.
//!
//! ```text
//!   input buffers ──bound──► session (1 thread, all optimisations) ──bound──► output buffers
//! ```
//! What is created here lives until the process ends: a bench makes a handful of sessions.

use ort_sys::{
    GraphOptimizationLevel, ONNXTensorElementDataType, OrtAllocatorType, OrtApi, OrtApiBase,
    OrtEnv, OrtLoggingLevel, OrtMemType, OrtSession, OrtStatusPtr, OrtValue,
};
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{null, null_mut};

/// An open library.
pub struct Library {
    api: &'static OrtApi,
    env: *mut OrtEnv,
    /// As the library tells it.
    pub version: String,
}

/// A loaded graph with its buffers.
pub struct Session {
    api: &'static OrtApi,
    session: *mut OrtSession,
    inputs: Tensors,
    outputs: Tensors,
}

/// Named buffers and the library's views of them.
struct Tensors {
    names: Vec<CString>,
    pointers: Vec<*const c_char>,
    values: Vec<*mut OrtValue>,
    buffers: Vec<Box<[f32]>>,
}

// SAFETY: the type of the symbol as the library's header declares it; naming it calls nothing.
type Entry = unsafe extern "system" fn() -> *const OrtApiBase;

impl Library {
    /// Opens the library that ORT_DYLIB_PATH names.
    ///
    /// # Errors
    /// What is missing, in words.
    pub fn open() -> Result<Self, String> {
        let path = std::env::var("ORT_DYLIB_PATH").map_err(|_| "ORT_DYLIB_PATH is not set")?;
        let path = CString::new(path).map_err(|_| "ORT_DYLIB_PATH holds a zero byte")?;
        // SAFETY: `path` ends with a zero byte; the library stays open until the process ends.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            return Err(format!("{} cannot be opened", path.to_string_lossy()));
        }
        // SAFETY: the handle is open and the name ends with a zero byte.
        let entry = unsafe { libc::dlsym(handle, c"OrtGetApiBase".as_ptr()) };
        if entry.is_null() {
            return Err("the library has no OrtGetApiBase".into());
        }
        // SAFETY: a library that exports this name is onnxruntime, where it has this type.
        let entry = unsafe { std::mem::transmute::<*mut c_void, Entry>(entry) };
        // SAFETY: the function takes nothing and returns a table that is never freed; GetApi
        // answers null to a version it does not know.
        let (api, version) = unsafe {
            let base = &*entry();
            ((base.GetApi)(ort_sys::ORT_API_VERSION).as_ref(), (base.GetVersionString)())
        };
        let api = api.ok_or("the library is older than the declarations")?;
        // SAFETY: the version is a text of the library's own, ended by a zero byte.
        let version = unsafe { CStr::from_ptr(version) }.to_string_lossy().into_owned();
        let mut env = null_mut();
        let level = OrtLoggingLevel::ORT_LOGGING_LEVEL_ERROR;
        // SAFETY: the name ends with a zero byte and `env` is written before it is read.
        checked(api, unsafe { (api.CreateEnv)(level, c"bench".as_ptr(), &mut env) })?;
        Ok(Self { api, env, version })
    }

    /// Loads a graph: names and shapes of its float inputs and of the outputs wanted.
    ///
    /// # Errors
    /// What the library says.
    pub fn load(
        &self,
        onnx: &[u8],
        inputs: &[(&str, &[i64])],
        outputs: &[(&str, &[i64])],
    ) -> Result<Session, String> {
        let api = self.api;
        let (mut options, mut session) = (null_mut(), null_mut());
        let all = GraphOptimizationLevel::ORT_ENABLE_ALL;
        // SAFETY: every pointer is either live here or written by the call before it is used.
        unsafe {
            checked(api, (api.CreateSessionOptions)(&mut options))?;
            checked(api, (api.SetIntraOpNumThreads)(options, 1))?;
            checked(api, (api.SetInterOpNumThreads)(options, 1))?;
            checked(api, (api.SetSessionGraphOptimizationLevel)(options, all))?;
            let (bytes, length) = (onnx.as_ptr().cast(), onnx.len());
            let make = api.CreateSessionFromArray;
            checked(api, make(self.env, bytes, length, options, &mut session))?;
        }
        let (inputs, outputs) = (Tensors::new(api, inputs)?, Tensors::new(api, outputs)?);
        Ok(Session { api, session, inputs, outputs })
    }
}

impl Session {
    /// An input's buffer, filled before a run.
    pub fn input(&mut self, index: usize) -> &mut [f32] {
        &mut self.inputs.buffers[index]
    }

    /// An output's buffer, filled by a run.
    pub fn output(&self, index: usize) -> &[f32] {
        &self.outputs.buffers[index]
    }

    /// Copies an output into an input: a state that is carried on.
    pub fn carry(&mut self, output: usize, input: usize) {
        self.inputs.buffers[input].copy_from_slice(&self.outputs.buffers[output]);
    }

    /// One run.
    ///
    /// # Errors
    /// What the library says.
    #[inline]
    pub fn run(&mut self) -> Result<(), String> {
        let (from, to) = (&self.inputs, &mut self.outputs);
        // SAFETY: session and values were made by this library and are never freed; names and
        // buffers live in `self`, and each list is as long as it is said to be.
        let status = unsafe {
            (self.api.Run)(
                self.session,
                null(),
                from.pointers.as_ptr(),
                from.values.as_ptr().cast(),
                from.values.len(),
                to.pointers.as_ptr(),
                to.values.len(),
                to.values.as_mut_ptr(),
            )
        };
        checked(self.api, status)
    }
}

impl Tensors {
    fn new(api: &'static OrtApi, list: &[(&str, &[i64])]) -> Result<Self, String> {
        let names: Vec<CString> = list
            .iter()
            .map(|(name, _)| CString::new(*name))
            .collect::<Result<_, _>>()
            .map_err(|_| "a name holds a zero byte".to_owned())?;
        let mut memory = null_mut();
        let (arena, plain) = (OrtAllocatorType::OrtArenaAllocator, OrtMemType::OrtMemTypeDefault);
        // SAFETY: `memory` is written before it is read.
        checked(api, unsafe { (api.CreateCpuMemoryInfo)(arena, plain, &mut memory) })?;
        let (mut values, mut buffers) = (Vec::new(), Vec::new());
        for (_, shape) in list {
            let length = shape.iter().product::<i64>() as usize;
            let mut buffer = vec![0.0_f32; length].into_boxed_slice();
            let mut value = null_mut();
            let float = ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
            // SAFETY: buffer and shape have the lengths given; the buffer's memory does not move
            // when its box does and lives as long as the value is used.
            let status = unsafe {
                (api.CreateTensorWithDataAsOrtValue)(
                    memory,
                    buffer.as_mut_ptr().cast(),
                    length * size_of::<f32>(),
                    shape.as_ptr(),
                    shape.len(),
                    float,
                    &mut value,
                )
            };
            checked(api, status)?;
            values.push(value);
            buffers.push(buffer);
        }
        let pointers = names.iter().map(|name| name.as_ptr()).collect();
        Ok(Self { names, pointers, values, buffers })
    }
}

impl Drop for Tensors {
    /// The names are what the pointers point at: they go last.
    fn drop(&mut self) {
        self.pointers.clear();
        self.names.clear();
    }
}

fn checked(api: &OrtApi, status: OrtStatusPtr) -> Result<(), String> {
    if status.0.is_null() {
        return Ok(());
    }
    // SAFETY: a status that is not null carries a text ended by a zero byte until it is released.
    let text = unsafe { CStr::from_ptr((api.GetErrorMessage)(status.0)) };
    let text = text.to_string_lossy().into_owned();
    // SAFETY: the status is not used after this.
    unsafe { (api.ReleaseStatus)(status.0) };
    Err(text)
}
