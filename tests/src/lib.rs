//! The whole product in one process: real chain, real ledger, real HTTP.
