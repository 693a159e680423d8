//! Puts every broken body of a function beside its own, chosen by a number at run time.

use super::sites::Function;
use std::fmt::Write;

/// The switch, read once from the environment, and what a first failing test does: the process
/// ends, for one is enough. `TOUCHED` names a file that is told which test calls which function.
const SWITCH: &str = r#"
/// The number of the mutant in force; 0 for none. `function` is the one that asks.
pub(crate) fn mutant(function: usize) -> usize {
    static NUMBER: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    static TOUCHED: std::sync::OnceLock<Option<std::sync::Mutex<Touched>>> =
        std::sync::OnceLock::new();
    let read = || {
        std::panic::set_hook(Box::new(|told| {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "{told}");
            std::process::exit(101);
        }));
        std::env::var("MUTANT").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    let number = *NUMBER.get_or_init(read);
    if let Some(touched) = TOUCHED.get_or_init(Touched::open) {
        touched.lock().expect("nothing panics in there").note(function);
    }
    number
}

struct Touched {
    file: std::fs::File,
    known: std::collections::HashSet<(String, usize)>,
}

impl Touched {
    fn open() -> Option<std::sync::Mutex<Self>> {
        let path = std::env::var_os("TOUCHED")?;
        let file = std::fs::File::create(path).ok()?;
        Some(std::sync::Mutex::new(Self { file, known: Default::default() }))
    }

    fn note(&mut self, function: usize) {
        use std::io::Write;
        let test = std::thread::current().name().unwrap_or("?").to_owned();
        if self.known.insert((test.clone(), function)) {
            let _ = writeln!(self.file, "{function}\t{test}");
        }
    }
}
"#;

/// A file with all bodies.
pub struct Woven {
    /// Its text.
    pub text: String,
    /// Which lines a mutant's body is in, from the first to the one after the last, with its
    /// number.
    arms: Vec<(usize, usize, usize)>,
}

impl Woven {
    /// The mutant whose body holds a line.
    pub fn mutant_at(&self, line: usize) -> Option<usize> {
        let arm = self.arms.iter().find(|(from, to, _)| (*from..*to).contains(&line));
        arm.map(|(_, _, number)| *number)
    }
}

/// The file with all bodies but those left out. Mutants are numbered from `first` in their order.
pub fn weave(text: &str, functions: &[Function], first: usize, without: &[usize]) -> Woven {
    let mut woven = Woven { text: String::with_capacity(text.len() * 8), arms: Vec::new() };
    let mut lines = 1;
    let (mut at, mut number) = (0, first);
    let mut add = |woven: &mut Woven, part: &str| {
        lines += part.matches('\n').count();
        woven.text.push_str(part);
        lines
    };
    for function in functions.iter().filter(|function| !function.mutants.is_empty()) {
        let (start, end) = function.body;
        if let Some(word) = function.constant {
            add(&mut woven, &text[at..word]);
            at = word + "const ".len();
        }
        let (mut open, mut shut) = ("", "");
        if let Some(((from, to), kind)) = &function.boxed {
            add(&mut woven, &text[at..*from]);
            add(&mut woven, kind);
            (open, shut, at) = ("Box::new({\n", "})\n", *to);
        }
        add(&mut woven, &text[at..start]);
        let body = &text[start..end];
        add(&mut woven, &format!("match crate::base::mutant({}) {{\n", function.number));
        for mutant in &function.mutants {
            let (from, to) = mutant.range;
            let (before, after) = (&body[..from], &body[to..]);
            if !without.contains(&number) {
                let begins = add(&mut woven, &format!("{number} => {{\n{open}"));
                let ends = add(&mut woven, &format!("{before}{}{after}{shut}}}\n", mutant.with));
                woven.arms.push((begins, ends, number));
            }
            number += 1;
        }
        let mut whole = String::new();
        // Writing to a String never fails.
        let _ = writeln!(whole, "_ => {{\n{open}{body}{shut}}}\n}}");
        add(&mut woven, &whole);
        at = end;
    }
    add(&mut woven, &text[at..]);
    // A function that is put into every caller brings all of its bodies along, and theirs.
    woven.text = woven.text.replace("#[inline(always)]", "");
    woven
}

/// The text of the room that everything may import, with the switch.
pub fn with_switch(text: &str) -> String {
    format!("{text}{SWITCH}")
}
