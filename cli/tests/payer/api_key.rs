//! Requests with an `Authorization` of their own.

use http::header::{AUTHORIZATION, HeaderValue};
use toll_client::{PayError, Request};
use toll_protocol::{Amount, CredentialField};

use crate::support::gateway::{Customer, Merchant, PRICE};

fn keyed(url: reqwest::Url) -> Request {
    let mut request = Request::get(url);
    request.headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer of-an-api-key"));
    request
}

#[tokio::test]
async fn a_session_is_paid_beside_it_where_the_server_takes_credentials_elsewhere() {
    let merchant = Merchant::start().await;
    let request = keyed(merchant.listen_beside_authorization().await);
    let customer = Customer::new();
    for number in 1..=3 {
        let reply = customer.payer.pay(&customer.book(), &request).await.unwrap();
        assert_eq!((reply.payment.unwrap().charged, merchant.charged().await), (PRICE, number * PRICE.get()));
    }
    let channel = customer.book().channels().remove(0);
    assert_eq!(channel.challenge.field, CredentialField::PaymentAuthorization);
    customer.payer.top_up(&customer.book(), &channel.channel_id, Amount::new(1_000)).await.unwrap();
    let receipt = customer.payer.close(&customer.book(), &channel.channel_id).await.unwrap();
    assert_eq!((receipt.spent.get(), merchant.channels().await), (3 * PRICE.get(), 1));
}

#[tokio::test]
async fn nothing_is_signed_where_the_credential_would_take_its_place() {
    let merchant = Merchant::start().await;
    let customer = Customer::new();
    let request = keyed(merchant.url.clone());

    let refused = customer.payer.pay(&customer.book(), &request).await;

    assert!(matches!(refused, Err(PayError::AuthorizationTaken { .. })), "{refused:?}");
    assert_eq!((merchant.channels().await, customer.book().channels().len()), (0, 0));
    // Nor with a channel at hand.
    customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();
    let refused = customer.payer.pay(&customer.book(), &request).await;
    assert!(matches!(refused, Err(PayError::AuthorizationTaken { .. })), "{refused:?}");
    let channel = customer.book().channels().remove(0);
    assert_eq!((merchant.charged().await, channel.signed, channel.unanswered.len()), (PRICE.get(), PRICE, 0));
}
