// Pays for one request with the charge client of @solana/mpp.
//
// charge_client.mjs KEYPAIR URL RPC pull|push
//
// One JSON document on stdout tells what the server answered.
import fs from 'node:fs';
import { createKeyPairSignerFromBytes } from '@solana/kit';
import { Mppx, solana } from '@solana/mpp/client';
import { Receipt } from 'mppx';

const [keypair, url, rpcUrl, way] = process.argv.slice(2);
const signer = await createKeyPairSignerFromBytes(new Uint8Array(JSON.parse(fs.readFileSync(keypair))));
const steps = [];
const charge = solana.charge({ signer, rpcUrl, broadcast: way === 'push', onProgress: (step) => steps.push(step.type) });
const mppx = Mppx.create({ polyfill: false, methods: [charge] });
const response = await mppx.fetch(url);
const receipt = response.headers.has('payment-receipt') ? Receipt.fromResponse(response) : null;
console.log(JSON.stringify({ status: response.status, body: await response.text(), receipt, steps }));
