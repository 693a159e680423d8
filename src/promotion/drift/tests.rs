//! Expected values are River's (0.26.1) and SciPy's (1.17.1), run on the same streams.

use super::*;

/// Python's `random.Random(12345).choices([0, 1], k=1000)`, then `.choices(range(4, 8), k=1000)`.
const STREAM: &str = "\
    00100010001010101010100001110111000111011110101101110011001000101111011001010101\
    11001000110000110101100100001100100001001001111000111001011000100001111010000111\
    00100010000110000001010101110110111000110110000101001001000000010101111111011001\
    11000100111111001100100001011011111101110100010010101110010000101111111111100111\
    00000011011000110010001000010111100010101011100001111001001111100000100111000110\
    11101100010111001101010000000110001011110110000110101110110000111100111111000011\
    10000101110111100110011010101010100000001111001010001010100000110000010001000000\
    11100101111000001100010100010110001011111001011101000110001011110110011101001111\
    00101111110011100001001010000011011001111100111110010011110011110011011101001110\
    10011100111111110101110000000010110100011010011010111110001111111011111000000101\
    00110001000000100010101010111110101111101000100111100001010101110001000100100001\
    10110101100001111000101000100110011101011011000011000011101110111101100010000100\
    11110001110000010100101011101101111110114674675467764756676466746474645555557444\
    77745666476665445464656546744777757777764654576774647574647766454546555777544754\
    74654576744565577646666657775446745656567775444746754774775544755577555774457775\
    44754547564657766645775544747456454457455644576556465465454466567567555567755765\
    54644545557757545457675544767577464546446677675565556447744475754746767544776457\
    47464756467574465644564445464654466464574575745775554576766645545777655577765676\
    76766757576465445746546547745565647657654657477456556545774676765566745765644474\
    55644465455664745544667775664776757556657767557547657656764557557746765745465745\
    54765654544775474476577674667565667647547544577465565577767765676645666475475747\
    66466546574564447745644474646664555574574776757755766567656476667564666454565655\
    46445664664475656546675767457567444674655776575556465467774777464754666546464564\
    75756554645555577566664475646544467465664476465456675756556644555754555647675467\
    76456455745645656464674557457474656557474446554544665474657454765475455747746677";

fn stream() -> Vec<f64> {
    STREAM.bytes().map(|digit| f64::from(digit - b'0')).collect()
}

/// The portable stream of x ← 1664525·x + 1013904223 mod 2³², as fractions.
fn fractions(seed: u32, count: usize) -> Vec<f64> {
    let mut x = seed;
    let next = |_| {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f64::from(x) + 0.5) / 4_294_967_296.0
    };
    (0..count).map(next).collect()
}

/// Higher by 0.3 from the 1 500th to the 2 700th.
fn step_up_and_down() -> Vec<f64> {
    let raised = |at: usize| if (1_500..2_700).contains(&at) { 0.3 } else { 0.0 };
    fractions(7, 4_000).into_iter().enumerate().map(|(at, x)| x + raised(at)).collect()
}

fn slow_rise() -> Vec<f64> {
    let risen = |(at, x): (usize, f64)| x * 0.5 + 0.4 * at as f64 / 4_000.0;
    fractions(99, 4_000).into_iter().enumerate().map(risen).collect()
}

/// Where it fired and what was left, and width and mean after every 500.
type Told = (Vec<(usize, u64)>, Vec<(u64, f64)>);

fn adwin(stream: &[f64], delta: f64) -> Told {
    let mut detector = Adwin::new(delta);
    let (mut fired, mut seen) = (Vec::new(), Vec::new());
    for (at, value) in stream.iter().enumerate() {
        if detector.push(*value) {
            fired.push((at, detector.width()));
        }
        if at % 500 == 499 {
            seen.push((detector.width(), detector.mean().unwrap()));
        }
    }
    (fired, seen)
}

#[track_caller]
fn assert_told(told: &Told, fired: &[(usize, u64)], seen: &[(u64, f64)]) {
    assert_eq!(told.0, fired);
    assert_eq!(told.1.len(), seen.len());
    for (own, river) in told.1.iter().zip(seen) {
        assert_eq!(own.0, river.0);
        assert!((own.1 - river.1).abs() < 1e-12, "{own:?} {river:?}");
    }
}

#[test]
fn adwin_cuts_where_river_does_on_the_published_stream() {
    assert_eq!(stream().iter().sum::<f64>(), 5_970.0);
    let seen =
        [(500, 0.492), (1_000, 0.497), (476, 5.462_184_873_949_58), (976, 5.467_213_114_754_099)];
    assert_told(&adwin(&stream(), 0.002), &[(1_023, 32)], &seen);
}

#[test]
fn adwin_follows_river_up_down_along_a_slope_and_through_no_change() {
    let seen = [
        (500, 0.498_376_012_744_382_04),
        (1_000, 0.490_721_047_965_809_7),
        (1_500, 0.488_422_592_833_017_3),
        (432, 0.793_916_500_333_909_9),
        (932, 0.792_719_879_099_099_5),
        (248, 0.527_568_931_638_773_9),
        (748, 0.516_756_374_532_118_1),
        (1_248, 0.515_206_024_391_003_5),
    ];
    assert_told(&adwin(&step_up_and_down(), 0.002), &[(1_567, 288), (2_751, 672)], &seen);
    assert_told(&adwin(&step_up_and_down(), 0.05), &[(1_567, 112), (2_751, 128)], &seen);
    let seen = [
        (500, 0.268_017_471_523_769_26),
        (1_000, 0.293_406_793_191_842_76),
        (444, 0.374_965_258_506_093_2),
        (944, 0.399_956_044_953_584_83),
        (324, 0.486_107_312_238_108_4),
        (824, 0.511_389_410_856_673_6),
        (204, 0.592_234_879_782_879_9),
        (704, 0.611_127_084_584_144_8),
    ];
    let fired = [(1_055, 928), (2_175, 992), (3_295, 992)];
    assert_told(&adwin(&slow_rise(), 0.002), &fired, &seen);
    assert!(adwin(&fractions(5, 4_000), 0.3).0.is_empty());
}

#[test]
fn adwin_remembers_no_more_than_the_logarithm_of_its_window() {
    let mut detector = Adwin::new(0.002);
    fractions(5, 200_000).iter().for_each(|x| assert!(!detector.push(*x)));
    assert_eq!(detector.width(), 200_000);
    let buckets = format!("{detector:?}").matches("Bucket").count();
    assert!(buckets <= 6 * 18, "{buckets}");
    assert!((detector.variance().unwrap() - 1.0 / 12.0).abs() < 1e-3);
}

fn rises(stream: &[f64], tolerance: f64, threshold: f64) -> Vec<usize> {
    let mut detector = PageHinkley::new(tolerance, threshold);
    let fired = |(at, value): (usize, &f64)| detector.push(*value).then_some(at);
    stream.iter().enumerate().filter_map(fired).collect()
}

#[test]
fn page_and_hinkley_fire_where_river_does() {
    assert_eq!(rises(&stream(), 0.005, 50.0), [1_006]);
    assert_eq!(rises(&step_up_and_down(), 0.05, 20.0), [1_579]);
    assert_eq!(rises(&step_up_and_down(), 0.01, 10.0), [1_533]);
    assert_eq!(rises(&slow_rise(), 0.01, 5.0), [603, 1_028, 1_759, 2_317, 2_936, 3_573]);
    assert!(rises(&fractions(5, 4_000), 0.05, 20.0).is_empty());
}

#[test]
fn the_index_of_known_shares_is_the_published_one() {
    let counts = [20.0, 16.0, 13.0, 11.0, 9.0, 8.0, 7.0, 6.0, 5.0, 5.0];
    let index = psi(&[10.0; 10], &counts).unwrap();
    assert!((index - 0.212_303_433).abs() < 1e-9, "{index}");
    assert_eq!(psi(&[1.0; 3], &[1.0; 2]), None);
    assert_eq!(psi(&[1.0; 3], &[0.0; 3]), None);
    let empty_bin = psi(&[1.0, 1.0], &[1.0, 0.0]).unwrap();
    assert!(empty_bin.is_finite() && empty_bin > 1.0, "{empty_bin}");
}

#[test]
fn a_window_of_training_itself_is_stable_and_a_moved_one_is_not() {
    let training = fractions(3, 10_000);
    let mut shares = Shares::deciles(&training, 2_000).unwrap();
    fractions(4, 1_999).into_iter().for_each(|x| shares.push(x));
    assert_eq!(shares.index(), None, "a window is judged when it is full");
    shares.push(0.5);
    assert!(shares.index().unwrap() < 0.02, "{:?}", shares.index());
    // Uniform on 0.3 to 1.3: three tenths empty, the last holds four.
    fractions(4, 2_000).into_iter().for_each(|x| shares.push(x + 0.3));
    let (gone, more) = (0.1_f64 - 1e-4, 0.3_f64);
    let expected = 3.0 * gone * (0.1_f64 / 1e-4).ln() + more * 4.0_f64.ln();
    assert!((shares.index().unwrap() - expected).abs() < 0.05, "{:?} {expected}", shares.index());
    assert_eq!(Shares::deciles(&[1.0; 100], 10), None, "no deciles in a constant");
}

#[test]
fn distances_and_probabilities_of_samples_are_scipys() {
    let a = fractions(1, 80);
    let b: Vec<f64> = fractions(2, 120).iter().map(|x| x * 0.9 + 0.15).collect();
    let distance = ks_distance(&a, &b).unwrap();
    assert!((distance - 0.216_666_666_666_666_67).abs() < 1e-12, "{distance}");
    let chance = ks_probability(distance, 80.0, 120.0);
    assert!((chance - 0.022_070_336_102_033_742).abs() < 1e-12, "{chance}");
    let (a, b) = (
        [1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0, 4.0, 5.0, 9.0],
        [2.0, 3.0, 3.0, 4.0, 5.0, 5.0, 6.0, 6.0, 7.0],
    );
    assert!((ks_distance(&a, &b).unwrap() - 0.355_555_555_555_555_57).abs() < 1e-12);
    let tails = [
        (0.3, 0.999_990_694_198_665_5),
        (0.5, 0.963_945_243_664_875_1),
        (1.0, 0.269_999_671_677_354_56),
        (1.358, 0.050_026_797_334_446_98),
        (1.628, 0.009_975_522_431_181_053),
        (2.0, 0.000_670_925_255_779_695_3),
    ];
    for (x, tail) in tails {
        assert!((kolmogorov_tail(x) - tail).abs() < 1e-9, "{x}");
    }
    assert_eq!(ks_distance(&[], &b), None);
}

#[test]
fn of_many_probabilities_those_are_rejected_that_scipys_adjustment_rejects() {
    let chances = [0.01, 0.04, 0.03, 0.2, 0.005, 0.5, 0.001, 0.045];
    let strict = [true, false, false, false, true, false, true, false];
    let loose = [true, true, true, false, true, false, true, true];
    assert_eq!(rejected(&chances, 0.05), strict);
    assert_eq!(rejected(&chances, 0.060_1), loose);
    assert!(rejected(&[], 0.05).is_empty());
}

#[test]
fn values_that_hang_together_count_as_fewer() {
    let training = fractions(1, 1_000);
    let chance = |dependence: f64| {
        let mut sample = Sample::new(training.clone(), 500, dependence).unwrap();
        fractions(2, 500).into_iter().for_each(|x| sample.push(x * 0.95 + 0.05));
        sample.probability().unwrap()
    };
    assert!(chance(48.0) > 0.5 && chance(1.0) < 0.2, "{} {}", chance(48.0), chance(1.0));
}
