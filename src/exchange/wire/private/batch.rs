//! Several orders in one request: each succeeds or fails by itself.

use super::order::{modify_one, place_one};
use super::{Call, Reply};
use crate::exchange::account::order::OrderName;
use crate::exchange::wire::error::VenueError;
use crate::exchange::wire::params::invalid;
use crate::exchange::wire::private::form::{Form, order_json, params_of};
use serde_json::{Value, json};

/// Orders in one request at most.
const BATCH_MAX: usize = 5;
/// Cancellations in one request at most.
const CANCELS_MAX: usize = 10;

/// `POST /fapi/v1/batchOrders`.
///
/// # Errors
/// The venue's refusal of the request as a whole.
pub fn place(call: &mut Call<'_>) -> Reply {
    each(call, place_one)
}

/// `PUT /fapi/v1/batchOrders`.
///
/// # Errors
/// The venue's refusal of the request as a whole.
pub fn modify(call: &mut Call<'_>) -> Reply {
    each(call, modify_one)
}

fn each(
    call: &mut Call<'_>,
    act: fn(&mut Call<'_>, &crate::exchange::wire::params::Params) -> Reply,
) -> Reply {
    let items = list(call.params.need("batchOrders")?, "batchOrders")?;
    if items.is_empty() || items.len() > BATCH_MAX {
        return Err(VenueError::BATCH_SIZE);
    }
    let answers = items.iter().map(|item| {
        let answer = params_of(item).and_then(|params| act(call, &params));
        answer.unwrap_or_else(refused)
    });
    Ok(answers.collect())
}

/// `DELETE /fapi/v1/batchOrders`.
///
/// # Errors
/// The venue's refusal of the request as a whole.
pub fn cancel(call: &mut Call<'_>) -> Reply {
    let contract = call.contract()?;
    let mut names = Vec::new();
    // Clients write the names in lower case, and the venue takes them.
    for (param, lower, by_number) in [
        ("orderIdList", "orderidlist", true),
        ("origClientOrderIdList", "origclientorderidlist", false),
    ] {
        let text = call.params.text(param).or_else(|| call.params.text(lower));
        let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
        for item in list(text, param)? {
            let text = item.as_str().map_or_else(|| item.to_string(), str::to_owned);
            names.push(if by_number {
                let id = text.parse().map_err(|_| invalid(param))?;
                OrderName { id: Some(id), client_id: None }
            } else {
                OrderName { id: None, client_id: Some(text) }
            });
        }
        break;
    }
    if names.is_empty() {
        let text = "Param 'origClientOrderIdList' or 'orderIdList' must be sent, but both were \
                    empty/null!";
        return Err(VenueError::new(-1102, text));
    }
    if names.len() > CANCELS_MAX {
        return Err(VenueError::new(-4032, "Exceed maximum cancel order size."));
    }
    let answers = names.iter().map(|name| {
        let exchange = &mut *call.exchange;
        let (market, account) = (&mut exchange.market, call.account);
        match exchange.accounts.cancel(market, account, contract, name, call.now) {
            Ok(order) => order_json(call, &order, Form::Cancel),
            Err(error) => refused(error),
        }
    });
    Ok(answers.collect())
}

fn refused(error: VenueError) -> Value {
    json!({"code": error.code, "msg": error.text})
}

fn list(text: &str, name: &str) -> Result<Vec<Value>, VenueError> {
    serde_json::from_str(text).map_err(|_| invalid(name))
}
