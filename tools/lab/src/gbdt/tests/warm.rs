//! Going on from a forest.

use super::*;

fn objectives() -> [Params; 3] {
    let quantiles = Objective::Quantiles { permille: [100, 500, 900] };
    [softmax3(), Params::new(Objective::Squared), Params::new(quantiles)]
}

fn on(params: &Params, from: Option<&Forest>, table: &Table, held: Option<&Table>) -> Trained {
    train_from(params, from, table, held, &mut |_, _| std::ops::ControlFlow::Continue(()))
        .expect("a usable table")
}

#[test]
fn some_rounds_and_then_more_are_as_many_at_once() {
    let table = classes(3_000, 21);
    for params in objectives() {
        let params = Params { row_share: 0.6, feature_share: 0.7, ..params };
        let few = on(&Params { rounds: 4, ..params.clone() }, None, &table, None);
        let more = on(&Params { rounds: 5, ..params.clone() }, Some(&few.forest), &table, None);
        let once = on(&Params { rounds: 9, ..params.clone() }, None, &table, None);
        assert!(more.forest == once.forest, "{:?} went another way", params.objective);
        assert_eq!((few.rounds, more.rounds), (4, 9));
    }
}

#[test]
fn rows_held_out_that_no_new_round_helps_leave_the_forest_as_it_was() {
    let (table, held) = (classes(1_500, 22), classes(1_500, 23));
    let grown = on(&Params { rounds: 12, ..softmax3() }, None, &table, None).forest;
    // What is to be learned now is the opposite of what is held out.
    let mut turned = table.clone();
    turned.targets.iter_mut().for_each(|target| *target = 2.0 - *target);
    let params = Params { rounds: 40, patience: 5, ..softmax3() };
    let more = on(&params, Some(&grown), &turned, Some(&held));
    assert_eq!((more.rounds, more.held_out.len()), (12, 5));
    assert!(more.forest == grown, "a round that made it worse was kept");
    let honest = on(&params, Some(&grown), &table, Some(&held));
    assert!(honest.rounds > 12, "{}", honest.rounds);
}

#[test]
fn a_forest_of_other_classes_or_features_is_no_beginning() {
    let table = classes(500, 24);
    let grown = on(&Params { rounds: 2, ..softmax3() }, None, &table, None).forest;
    let fails = |params: &Params, table: &Table| {
        let quiet = &mut |_: usize, _: Option<f64>| std::ops::ControlFlow::Continue(());
        train_from(params, Some(&grown), table, None, quiet).expect_err("must be refused")
    };
    let four = Params::new(Objective::Softmax { classes: 4 });
    assert_eq!(fails(&four, &table), TrainError::Base("classes or levels"));
    let mut narrow = table_of(2);
    narrow.values = table.values[..1_000].iter().copied().collect();
    narrow.targets = table.targets.clone();
    assert_eq!(fails(&softmax3(), &narrow), TrainError::Base("features"));
}
