// Sells one resource with the charge server of @solana/mpp.
//
// charge_server.mjs CONFIG
//
// CONFIG is JSON: rpc, mint, recipient, price in base units; sponsor (a key file) where the server pays the fee; splits,
// externalId. Prints its port, then serves until it is ended.
import fs from 'node:fs';
import http from 'node:http';
import { createKeyPairSignerFromBytes } from '@solana/kit';
import { Mppx, solana, Store } from '@solana/mpp/server';

// Their server asks for blockhashes at `confirmed`, and has transactions tried out at `finalized`, where these are not
// known yet. So its requests say which commitment is meant.
const plain = globalThis.fetch;
globalThis.fetch = (url, options) => {
  const call = options?.body && JSON.parse(options.body);
  if (call?.method === 'sendTransaction') call.params[1].preflightCommitment = 'confirmed';
  return plain(url, call ? { ...options, body: JSON.stringify(call) } : options);
};

const config = JSON.parse(process.argv[2]);
const bytes = config.sponsor && new Uint8Array(JSON.parse(fs.readFileSync(config.sponsor)));
const charge = solana.charge({
  recipient: config.recipient,
  currency: config.mint,
  decimals: 6,
  network: 'localnet',
  rpcUrl: config.rpc,
  store: Store.memory(),
  splits: config.splits,
  ...(bytes && { signer: await createKeyPairSignerFromBytes(bytes) }),
});
const mppx = Mppx.create({ realm: 'localhost', secretKey: 'a secret of thirty-two bytes or so', methods: [charge] });
const terms = { amount: config.price, currency: config.mint, externalId: config.externalId };

let served = 0;
const server = http.createServer(async (request, response) => {
  const asked = new Request(`http://localhost${request.url}`, { headers: request.headers });
  const paid = await mppx.charge(terms)(asked);
  const answer = paid.status === 402 ? paid.challenge : paid.withReceipt(new Response(`${++served}\n`));
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  response.end(await answer.text());
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
