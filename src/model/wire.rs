//! Protobuf wire format, one field at a time, without allocation or recursion.
//!
//! ```text
//! field = key (varint: number << 3 | type), value
//! type 0 varint | 1 eight bytes | 2 length and bytes | 5 four bytes | 3, 4 groups: refused
//! ```

/// The value of one field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// Type 0.
    Varint(u64),
    /// Types 1 and 5.
    Fixed(&'a [u8]),
    /// Type 2: a string, bytes, a packed list or a message.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// As a message, string or bytes; an error when it is a number.
    pub fn bytes(self) -> Result<&'a [u8], &'static str> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err("a field that holds bytes holds a number"),
        }
    }

    /// As a number; an error when it is bytes.
    pub fn varint(self) -> Result<u64, &'static str> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err("a field that holds a number holds bytes"),
        }
    }

    /// Number of varints in a packed or single value.
    pub fn varint_count(self) -> Result<u64, &'static str> {
        match self {
            Self::Varint(_) => Ok(1),
            Self::Fixed(_) => Err("a varint field holds fixed-size bytes"),
            Self::Bytes(mut rest) => {
                let mut count = 0;
                while !rest.is_empty() {
                    rest = read_varint(rest)?.1;
                    count += 1;
                }
                Ok(count)
            }
        }
    }

    /// Number of fixed-size values of `size` bytes in a packed or single value.
    pub fn fixed_count(self, size: usize) -> Result<u64, &'static str> {
        match self {
            Self::Fixed(bytes) if bytes.len() == size => Ok(1),
            Self::Bytes(bytes) if bytes.len() % size == 0 => Ok((bytes.len() / size) as u64),
            _ => Err("a list of floats is cut short"),
        }
    }
}

/// Iterates over the fields of one message; stops after the first error.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn read(&mut self) -> Result<(u64, Value<'a>), &'static str> {
        let (key, rest) = read_varint(self.rest)?;
        let (value, rest) = match key & 7 {
            0 => {
                let (value, rest) = read_varint(rest)?;
                (Value::Varint(value), rest)
            }
            1 => rest.split_at_checked(8).map(fixed).ok_or("the file ends within a number")?,
            5 => rest.split_at_checked(4).map(fixed).ok_or("the file ends within a number")?,
            2 => {
                let (len, rest) = read_varint(rest)?;
                let len = usize::try_from(len).map_err(|_| "a length beyond memory")?;
                let cut = rest.split_at_checked(len);
                let (bytes, rest) = cut.ok_or("a length beyond the end of its message")?;
                (Value::Bytes(bytes), rest)
            }
            _ => return Err("a group or unknown wire type"),
        };
        if key >> 3 == 0 {
            return Err("field number zero");
        }
        self.rest = rest;
        Ok((key >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

fn fixed<'a>((bytes, rest): (&'a [u8], &'a [u8])) -> (Value<'a>, &'a [u8]) {
    (Value::Fixed(bytes), rest)
}

fn read_varint(bytes: &[u8]) -> Result<(u64, &[u8]), &'static str> {
    let mut value = 0_u64;
    for (place, &b) in bytes.iter().enumerate().take(10) {
        if place == 9 && b > 1 {
            return Err("a number beyond 64 bits");
        }
        value |= u64::from(b & 0x7f) << (7 * place);
        if b & 0x80 == 0 {
            return Ok((value, &bytes[place + 1..]));
        }
    }
    Err("the file ends within a number")
}
