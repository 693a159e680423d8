//! Both forms of requests under both kinds of key, compared with texts written out by hand.

use super::super::request::Templates;
use super::*;
use crate::base::settings::OrderEntry;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

/// RFC 8032, section 7.1, test 2: seed and message, and the signature they give.
const SEED: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
const MESSAGE: &[u8] = b"\x72";
const SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
const API_KEY: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// The key of the RFC as the venue's pages hand it out: base64 of its PKCS#8.
fn ed25519_text() -> String {
    let mut der = bytes("302e020100300506032b657004220420");
    der.extend(bytes(SEED));
    base64(&der)
}

/// By another way than the code's own.
fn base64(bytes: &[u8]) -> String {
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".as_bytes();
    let mut text = String::new();
    for group in bits.as_bytes().chunks(6) {
        let group = std::str::from_utf8(group).unwrap();
        let value = usize::from_str_radix(&format!("{group:0<6}"), 2).unwrap();
        text.push(char::from(digits[value]));
    }
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

fn unescaped(text: &str) -> String {
    text.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=")
}

#[test]
fn an_ed25519_key_is_taken_in_every_form_and_signs_as_the_standard_says() {
    let plain = ed25519_text();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{plain}\n-----END PRIVATE KEY-----\n");
    for secret in [plain, pem.clone(), pem.replace('\n', "\\n"), pem.replace('\n', "\r\n")] {
        let signer = Signer::from_secret(&secret).unwrap();
        assert!(signer.can_log_on(), "{secret}");
        let expected = base64(&bytes(SIGNATURE));
        assert_eq!(&signer.sign_plain(MESSAGE)[..], expected.as_bytes());
        let in_query = signer.sign(MESSAGE);
        let in_query = std::str::from_utf8(&in_query).unwrap();
        assert!(!in_query.contains(['+', '/', '=']), "{in_query}");
        assert_eq!(unescaped(in_query), expected);
    }
    let secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
    let signer = Signer::from_secret(secret).unwrap();
    assert!(!signer.can_log_on(), "letters and digits are an HMAC secret");
    assert_eq!(signer.sign(MESSAGE)[..], Signer::new(secret.as_bytes()).sign(MESSAGE)[..]);
    let other = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----";
    assert!(Signer::from_secret(other).is_none(), "it would sign nothing the venue takes");
}

fn stop_event(side: u8) -> Event {
    let body = Order {
        client_id: ID.0,
        px: Px::parse("61800.3").unwrap().0,
        qty: Qty::parse("0.010").unwrap().0,
        order_type: OrderType::StopMarket as u8,
        time_in_force: TimeInForce::Gtc as u8,
        ..Order::default()
    };
    let mut event = Event::new(Kind::OrderApproved, BTC, &body).with_flags(side);
    event.ts_recv = Nanos::from_millis(1_591_702_613_943).0;
    event
}

#[test]
fn a_protective_stop_and_its_cancel_go_to_the_service_for_conditional_orders() {
    let mut templates = Templates::new(&btc(), 1_000, &Signer::new(b"secret"));
    let stop = stop_event(flags::SELL);
    assert_eq!(RequestKind::of(&stop), RequestKind::Stop);
    let text = templates.order(&stop).unwrap().unsigned;
    assert_eq!(
        std::str::from_utf8(text).unwrap(),
        "algoType=CONDITIONAL&symbol=BTCUSDT&side=SELL&type=STOP_MARKET&closePosition=true\
         &workingType=MARK_PRICE&recvWindow=1000&clientAlgoId=pg1-0000100000000001\
         &timestamp=1591702613943&triggerPrice=61800.3"
    );
    let mut cancel = stop;
    cancel.kind = Kind::CancelApproved as u8;
    assert_eq!(RequestKind::of(&cancel), RequestKind::StopCancel);
    let text = templates.cancel(&cancel).unwrap().unsigned;
    assert_eq!(
        std::str::from_utf8(text).unwrap(),
        "recvWindow=1000&clientAlgoId=pg1-0000100000000001&timestamp=1591702613943"
    );
}

fn changed(event: &Event, change: impl FnOnce(&mut Order)) -> Event {
    let mut body: Order = *event.body();
    change(&mut body);
    let kind = event.kind().unwrap();
    let made = Event::new(kind, event.instrument(), &body).with_flags(event.flags);
    Event { ts_recv: event.ts_recv, ..made }
}

/// Every request there is, as an event.
fn requests() -> Vec<Event> {
    let limit = *approve(&wanted("0.010", "61800.3"), 1_591_702_613_943).event();
    let market = changed(&limit, |body| {
        (body.order_type, body.px) = (OrderType::Market as u8, 0);
    });
    let stop = stop_event(0);
    let cancels = [limit, stop].map(|mut event| {
        event.kind = Kind::CancelApproved as u8;
        event
    });
    [vec![limit, market, stop], cancels.to_vec()].concat()
}

fn text_of<'t>(templates: &'t mut Templates, event: &Event) -> Text<'t> {
    match RequestKind::of(event).is_cancel() {
        true => templates.cancel(event).unwrap(),
        false => templates.order(event).unwrap(),
    }
}

#[test]
fn json_of_an_hmac_key_is_signed_over_the_parameters_sorted_by_name() {
    let signer = Signer::new(b"secret").named(API_KEY).speaking(OrderEntry::WebSocket);
    let mut templates = Templates::new(&btc(), 1_000, &signer);
    for _ in 0..2 {
        for event in requests() {
            let text = text_of(&mut templates, &event);
            let params: Value = serde_json::from_slice(text.signed).unwrap();
            let params = params.as_object().unwrap();
            let mut pairs: Vec<(String, String)> = params
                .iter()
                .filter(|(name, _)| *name != "signature")
                .map(|(name, value)| {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    (name.clone(), text)
                })
                .collect();
            pairs.sort();
            let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let own = Signer::new(b"secret").sign(pairs.join("&").as_bytes());
            assert_eq!(params["signature"].as_str().unwrap().as_bytes(), &own[..]);
            assert_eq!(params["apiKey"], API_KEY);
            let unsigned = std::str::from_utf8(text.unsigned).unwrap();
            assert!(!unsigned.contains(API_KEY), "what is recorded does not depend on the key");
        }
    }
    let text = templates.order(&requests()[0]).unwrap();
    let mut params: Value = serde_json::from_slice(text.signed).unwrap();
    params.as_object_mut().unwrap().remove("signature");
    let expected = json!({
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "IOC",
        "reduceOnly": "true",
        "newOrderRespType": "ACK",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "recvWindow": 1_000,
        "newClientOrderId": "pg1-0000100000000001",
        "timestamp": 1_591_702_613_943_i64,
        "quantity": "0.010",
        "price": "61800.3",
        "apiKey": API_KEY,
    });
    assert_eq!(params, expected);
}

#[test]
fn an_ed25519_key_signs_whole_queries_and_leaves_the_json_of_its_session_bare() {
    let signer = Signer::from_secret(&ed25519_text()).unwrap().named(API_KEY);
    let pair = Ed25519KeyPair::from_seed_unchecked(&bytes(SEED)).unwrap();
    let public = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref());
    let mut queries = Templates::new(&btc(), 1_000, &signer);
    let mut session = Templates::new(&btc(), 1_000, &signer.speaking(OrderEntry::WebSocket));
    let hmac = Signer::new(b"secret").named(API_KEY).speaking(OrderEntry::WebSocket);
    let mut by_hmac = Templates::new(&btc(), 1_000, &hmac);
    for event in requests() {
        let text = text_of(&mut queries, &event);
        let signed = std::str::from_utf8(text.signed).unwrap();
        let (query, signature) = signed.split_once("&signature=").unwrap();
        assert_eq!(query.as_bytes(), text.unsigned);
        let signature = unescaped(signature);
        public.verify(query.as_bytes(), &decode(&signature)).unwrap();

        let bare = text_of(&mut session, &event);
        let params: Value = serde_json::from_slice(bare.signed).unwrap();
        assert!(params.get("signature").is_none() && params.get("apiKey").is_none());
        assert!(params.get("timestamp").is_some());
        let unsigned = bare.unsigned.to_vec();
        assert_eq!(text_of(&mut by_hmac, &event).unsigned, unsigned, "one hash for either key");
    }
}

fn decode(text: &str) -> Vec<u8> {
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: String = text
        .trim_end_matches('=')
        .chars()
        .map(|digit| format!("{:06b}", digits.find(digit).unwrap()))
        .collect();
    let whole = bits.as_bytes().chunks_exact(8);
    whole.map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap()).collect()
}

#[test]
fn the_longest_request_of_every_form_fits() {
    let mut facts = btc();
    facts.symbol = Symbol::new("币".repeat(10).as_bytes()).unwrap();
    (facts.tick_size, facts.lot_size) = (Px(1), Qty(1));
    let key = "k".repeat(128);
    let ed25519 = Signer::from_secret(&ed25519_text()).unwrap();
    for signer in [Signer::new(b"secret"), ed25519] {
        for entry in [OrderEntry::Rest, OrderEntry::WebSocket] {
            let signer = signer.clone().named(&key).speaking(entry);
            let mut templates = Templates::new(&facts, u32::MAX, &signer);
            for event in requests() {
                let mut event = changed(&event, |body| {
                    (body.client_id, body.qty) = (u64::MAX, i64::MAX);
                    body.px = if body.px > 0 { i64::MAX } else { 0 };
                });
                event.ts_recv = i64::MAX;
                assert!(text_of(&mut templates, &event).signed.len() <= REQUEST_BYTES_MAX);
            }
        }
    }
}
