//! One integration crate; a sentence per module.

// The simulated exchange over real sockets: routes, subscriptions, snapshots, slow clients.
mod exchange_server;
/// An exchange on a stepped clock and raw clients of it.
mod exchange_sim;
/// Every fault of the network and of streams is seen on the wire.
mod exchange_faults_wire;
/// Every fault of requests, orders and the market is seen by a client and by the ledger.
mod exchange_faults_api;
/// Hostile bytes on sockets: bounded, refused, nobody else's trouble.
mod exchange_sockets;
/// `peregrine exchange` as a program.
mod exchange_cli;
/// Same seed and same requests, same bytes on every connection.
mod exchange_bytes;
// The synthetic market's frames have the form of recorded ones.
mod exchange_format;
/// An exchange without sockets and a client that signs as real ones do.
mod exchange_desk;
/// Security, limits, orders and the trading WebSocket API, request by request.
mod exchange_signed;
/// A user stream tells what REST tells, sooner.
mod exchange_user_stream;
/// Hostile requests get an answer in the venue's form.
mod exchange_hostile;
/// Private answers and user events have the keys, types and formats of the venue's own.
mod exchange_schema_private;
/// Recorded data drives the exchange over real sockets.
mod exchange_replay;
/// What the exchange words otherwise than a sample, and why.
mod exchange_schema_differences;
/// User events as the exchange words them, one for each of the venue's samples.
mod exchange_schema_events;
/// An account whose key was replaced goes on from its journal, once that is said.
mod key_rotation;
/// A venue that has banned us is not asked again by the next process.
mod fault_ban;
/// A trader as a process of its own at an exchange on loopback.
mod trader_world;
/// Real processes: killed, ended, started twice, commanded by an operator.
mod fault_process;
/// Live trading starts on a signed GO and sign-off for what runs, and on nothing else.
mod live_start;
/// Killed in every way there is, nothing is left at the exchange, and nothing starts again.
mod kill_process;
/// A pinned thread that stands still kills, whether it ever turns again or not.
mod kill_stalled;
/// A start is held against what the venue lists: sorts of contracts, bounds of prices and orders.
mod venue_listing;
/// A position larger than one market order may be is closed by the killer all the same.
mod kill_slices;
/// The service's unit file holds what keeps it down and walled in.
mod deploy_unit;
/// The unit that copies journals elsewhere does.
mod deploy_ship;
/// The board and the rules name series that the trader tells.
mod deploy_watching;
/// What a service manager hears of a whole process.
mod service_notify;
/// A session leaves its champion by itself, and the registry follows.
mod champion_back;
/// Each cause of a rollback, and it alone.
mod champion_judge;
/// The registry follows what a session left once, however often and late it is asked.
mod champion_left;
/// Everything that `peregrine check` tells an operator.
mod check_host;
/// Statements of a day against the exchange's own ledger.
mod statement_ledger;
/// Faults of the network, made by peers with raw bytes.
mod fault_network;
/// Order entry against an exchange that fails on demand.
mod fault_orders;
mod fault_outage;
/// Every row of the catalogue of faults is a test of its name, or has a reason why not.
mod fault_matrix;
/// Frames that no venue should send, and pings.
mod fault_frames;
/// Connections renewed without a gap.
mod fault_rollover;
/// A whole session with its page at an exchange that fails on demand.
mod floor;
/// Not ready, with each reason, and ready again.
mod readiness;
/// Latency stamps, live and offline.
mod latency;
/// Streams that fall silent while their sockets live, and orders taken but answered otherwise.
mod fault_silence;
/// Trades that a lost connection missed.
mod fault_trades;
/// TLS that must not be trusted.
mod fault_tls;
/// The position limit as the exchange sees it, over random interleavings.
mod exposure_property;
/// Faults of streams: silence, holes, repetition, and whom they concern.
mod fault_feed;
/// Hundreds of symbols in one pipeline, by steps and over real sockets.
mod many_symbols;
mod book_differential; // the fast book does what a naive one does
mod feed_recordings; // recorded markets are reproduced to the last digit
/// Counts heap allocations for tests of paths that must not allocate.
mod allocations;
/// The documented table of features is the schema.
mod features_docs;
/// Seeded, hostile and recorded inputs for feature tests.
mod features_inputs;
/// The features once more, naively and in one batch.
mod features_oracle;
/// Every feature equals its formula computed from scratch.
mod features_parity;

/// What the journal tests share.
mod journal_support;
/// Damaged journals: every byte cut, every bit flipped, nothing read that was not written.
mod journal_damage;

// The repository's own files, read as text, for the tests that check the repository.
mod source;
// A room imports only rooms above it.
mod layers;
/// The venue's own timer strikes when a heart stands still, and never before.
mod stop_dead_man;
/// Whole sessions whose positions have their stops at the exchange.
mod stop_session;
// Sizes, words and names that the style page asks for.
mod tidy;
// Every key of every configuration file is explained where it stands.
mod config_docs;
// What the documents name exists.
mod architecture;
/// Journals of whole sessions: with and without a keeper thread, refusals, retention, attachments.
mod journal_session;
/// Killed writers lose nothing; repair ends what they left.
mod journal_crash;
/// Dumps, filters and exports of journals.
mod journal_tools;
/// Features never look ahead, warm up as declared, forget their start and say every fault.
mod features_promises;
/// Indicators equal published worked examples.
mod features_published;
/// What a list of inputs contains, read naively.
mod features_seen;
/// Exports of common trainers answer as onnxruntime, and what must not load is refused.
mod model_fixtures;
/// Damaged and hostile model files give an error or a working model.
mod model_hostile;
/// A model's state changes when it is committed, and as onnxruntime's does.
mod model_state;
/// A model's way through the registry, by command.
mod model_governance;
/// Models change while a session over real sockets trades.
mod model_swaps;
/// An operator adds and drops symbols of a session over sockets.
mod symbols_session;
/// The registry refuses what was tampered with, by name.
mod registry_files;
/// Policy, gate, ledger and paper venue agree over a recorded market.
mod trade_paper;
/// What the end-to-end tests share: inputs, the four stages with a paper venue, the program.
mod pipeline_support;
/// Symbols with a model of their own beside the champion that the others share.
mod own_models;
/// A change of model loses, doubles and reorders nothing, and replays.
mod pipeline_swaps;
/// Same inputs, same bytes; another seed, other bytes.
mod pipeline_same_bytes;
/// The path of an event allocates nothing after warm-up.
mod pipeline_allocations;
/// Fused, paired and split stages write the same lanes.
mod pipeline_layouts;
/// Backtests over every recorded market equal independent answers.
mod cli_backtest;
/// Every change of a journal is found by a replay and named.
mod cli_replay;
/// Inference on several threads writes the lanes that one writes, over one budget.
mod pipeline_shards;
/// A whole session with inference on two threads.
mod shards_session;
/// Nothing is priced across a gap or after a loss.
mod pipeline_books;
/// The demo ends in order when told to, and leaves a sound journal when it is killed.
mod cli_signals;
/// Lanes of a journal as tests read them.
mod lanes;
/// The program as a process of its own, and waiting for what others do.
mod process;
/// Connections that close, fall silent or are refused come back.
mod venue_stream;
/// Sessions outlive their exchange and failed requests.
mod venue_session;
/// A venue in COIN-M's form.
mod coin_venue;
/// A second dialect goes through the whole program, recorded and never traded.
mod venue_dialect;
/// A venue is known to three rooms and no other.
mod venue_seam;
/// Bad frames and bad models are refused with a numbered reason.
mod pipeline_bad_input;
/// Exit codes, one-line errors, keys of the summary, help.
mod cli_contract;
/// The shadow log is held against its rules, by number where a line is bad, and signed.
mod shadow_report;
/// Challengers beside the champion say what the session recorded, are scored by the market, and go
/// on after a kill.
mod shadow_run;
/// A running session's own shadow.
mod shadow_session;
/// The session changes its models beside its challengers, or deals them a share.
mod shadow_changes;
/// A session with its journal, and a run of challengers over it.
mod shadow_support;
/// An immediate kill leaves every position and opens none.
mod pipeline_kill;
/// What the account's own stream tells of protective stops and of what the venue does to us.
mod private_stops;
/// Frames of the account's own stream become reports, to the last digit.
mod private_stream;
/// Every class of answer to an order becomes the event it deserves.
mod desk_answers;
/// Order entry over the trading WebSocket API, over real sockets.
mod desk_api;
/// Connections that end, speak unasked or come and go do the desk's orders no harm.
mod desk_connections;
/// Sessions inside the test's own process.
mod session_support;
/// Sessions with orders at a venue agree with its ledger to the last unit.
mod desk_session;
/// Sessions that missed something of their account know it again by asking.
mod fault_reconcile;
/// Compares JSON values by keys, types and forms.
mod schema;
/// Public answers and market streams have the members and forms of real ones.
mod exchange_schema_public;
/// Public clients from their registries trade on the simulated exchange.
mod exchange_clients;
/// Deterministic simulation: the whole program against the whole exchange, driven by seeds.
mod sim;
/// Fake other sides of the alerts.
mod alert_world;
/// Commands by Telegram: what is obeyed, and everything that is not.
mod alerts_commands;
/// Alerts arrive, through failures, at whom they must.
mod alerts_delivery;
/// A whole session that tells what happens, and no secret.
mod alerts_session;
/// Every command of every runbook is run.
mod runbooks;
