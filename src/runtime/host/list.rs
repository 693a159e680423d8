//! Lists of cores as the kernel writes them: `0-3,8,10-11`.

/// Cores a list may hold: more are none.
const CORES_MAX: usize = 8_192;

/// The cores of a list; none for an empty one, for `(null)`, and for what is no list.
pub fn cores_of(text: &str) -> Vec<usize> {
    let mut cores = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let read = |text: &str| text.trim().parse::<usize>();
        let (Ok(first), Ok(last)) = (read(first), read(last)) else {
            return Vec::new();
        };
        if last >= CORES_MAX || first > last {
            return Vec::new();
        }
        cores.extend(first..=last);
    }
    cores
}

/// The cores as a list.
pub fn written(cores: &[usize]) -> String {
    cores.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

/// Those of `wanted` that `there` has not.
pub fn missing(wanted: &[usize], there: &[usize]) -> Vec<usize> {
    wanted.iter().copied().filter(|core| !there.contains(core)).collect()
}
