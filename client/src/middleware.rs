//! A layer that pays: for programs whose HTTP client is a [`reqwest_middleware::ClientWithMiddleware`].

use std::sync::Arc;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{Extensions, StatusCode};
use reqwest::ResponseBuilderExt;
use reqwest_middleware::{Error, Middleware, Next};
use toll_chain::cause;

use crate::book::Book;
use crate::clock::unix_now;
use crate::error::PayError;
use crate::exchange::{self, Wire};
use crate::payer::Payer;
use crate::reply::Reply;
use crate::request::Request;

/// Pays for the requests of a client where servers ask for it and the payer's policy allows.
///
/// It shares a [`Payer`] and a [`Book`] with whoever else holds them, and its clones. Requests to one server wait
/// for each other once money is involved; others run side by side. An answer that was paid for is read whole, up to
/// the policy's `max_body`, before it is handed on, since only then the payment is done; a [`Payment`] or a [`PaidCharge`] is
/// among its extensions. What is refused comes as [`PayError`] inside [`Error::Middleware`]; a request that may be paid for and
/// was not answered is refused until its answer comes, or [`Payer::give_up`].
///
/// Requests with an `Authorization` of their own keep it. They are paid for where the server takes credentials in
/// `Payment-Authorization`, and passed on untouched elsewhere: there is room for one.
///
/// [`Payment`]: crate::Payment
/// [`PaidCharge`]: crate::PaidCharge
#[derive(Clone)]
pub struct PaymentMiddleware {
    payer: Arc<Payer>,
    book: Arc<Book>,
}

impl PaymentMiddleware {
    /// Pays as `payer` does, and remembers in `book`.
    pub fn new(payer: impl Into<Arc<Payer>>, book: impl Into<Arc<Book>>) -> Self {
        Self { payer: payer.into(), book: book.into() }
    }

    async fn pay(&self, wire: &Rest<'_, '_>, request: &Request) -> Result<reqwest::Response, Error> {
        let mut first = None;
        let known = self.payer.known_channel(&self.book, request);
        if known.is_none_or(|channel| !request.has_room_for(&channel.challenge)) {
            let response = wire.run(exchange::outgoing(request, self.payer.policy())).await?;
            if response.status() != StatusCode::PAYMENT_REQUIRED {
                return Ok(response);
            }
            let read = exchange::read(request, response, self.payer.policy()).await;
            let unpaid = read.map_err(Error::middleware)?;
            let policy = self.payer.policy();
            let choice = policy.choose(&unpaid.headers, request.url.as_str(), unix_now());
            if request.headers.contains_key(AUTHORIZATION)
                && !choice.is_ok_and(|choice| request.has_room_for(choice.challenge()))
            {
                return Ok(answer(request, unpaid.into()));
            }
            first = Some(unpaid);
        }
        let reply = self.payer.pay_over(wire, &self.book, request, first).await;
        Ok(answer(request, reply.map_err(Error::middleware)?))
    }
}

#[async_trait]
impl Middleware for PaymentMiddleware {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let has_authorization = request.headers().contains_key(AUTHORIZATION);
        match repeatable(&request) {
            Some(repeatable) => {
                let rest = Rest { next, extensions: tokio::sync::Mutex::new(extensions) };
                self.pay(&rest, &repeatable).await
            }
            None => {
                let url = request.url().to_string();
                let response = next.run(request, extensions).await?;
                if response.status() == StatusCode::PAYMENT_REQUIRED && !has_authorization {
                    return Err(Error::middleware(PayError::Streaming { url }));
                }
                Ok(response)
            }
        }
    }
}

/// What comes after this layer.
struct Rest<'a, 'b> {
    next: Next<'a>,
    extensions: tokio::sync::Mutex<&'b mut Extensions>,
}

impl Rest<'_, '_> {
    async fn run(&self, request: reqwest::Request) -> Result<reqwest::Response, Error> {
        let mut extensions = self.extensions.lock().await;
        self.next.clone().run(request, &mut extensions).await
    }
}

#[async_trait]
impl Wire for Rest<'_, '_> {
    async fn carry(&self, request: reqwest::Request) -> Result<reqwest::Response, String> {
        self.run(request).await.map_err(|error| match error {
            Error::Reqwest(error) => cause(&error),
            Error::Middleware(error) => error.to_string(),
        })
    }
}

/// The request in a shape that can be sent again, or `None` when its body is a stream.
fn repeatable(request: &reqwest::Request) -> Option<Request> {
    let body = match request.body() {
        Some(body) => body.as_bytes()?.to_vec(),
        None => Vec::new(),
    };
    let (method, url) = (request.method().clone(), request.url().clone());
    Some(Request { method, url, headers: request.headers().clone(), body })
}

fn answer(request: &Request, reply: Reply) -> reqwest::Response {
    let mut builder = http::Response::builder().status(reply.status).url(request.url.clone());
    if let Some(payment) = reply.payment {
        builder = builder.extension(payment);
    }
    if let Some(charge) = reply.charge {
        builder = builder.extension(charge);
    }
    let mut response = builder.body(reply.body).expect("a status that was received is valid");
    *response.headers_mut() = reply.headers;
    response.into()
}
