// @solana/kit against the local chain: node kit_client.mjs URL WS_URL. Prints one JSON object.
import {
  AccountRole,
  address,
  airdropFactory,
  appendTransactionMessageInstruction,
  assertIsTransactionWithBlockhashLifetime,
  createSolanaRpc,
  createSolanaRpcSubscriptions,
  createTransactionMessage,
  generateKeyPairSigner,
  getSignatureFromTransaction,
  lamports,
  pipe,
  sendAndConfirmTransactionFactory,
  setTransactionMessageComputeUnitLimit,
  setTransactionMessageFeePayerSigner,
  setTransactionMessageLifetimeUsingBlockhash,
  signTransactionMessageWithSigners,
} from '@solana/kit';

const [url, socketUrl] = process.argv.slice(2);
const rpc = createSolanaRpc(url);
const rpcSubscriptions = createSolanaRpcSubscriptions(socketUrl);
const commitment = 'confirmed';
const SYSTEM = address('11111111111111111111111111111111');

function transfer(from, to, amount) {
  const data = new Uint8Array(12);
  const view = new DataView(data.buffer);
  view.setUint32(0, 2, true);
  view.setBigUint64(4, amount, true);
  const accounts = [
    { address: from.address, role: AccountRole.WRITABLE_SIGNER, signer: from },
    { address: to, role: AccountRole.WRITABLE },
  ];
  return { programAddress: SYSTEM, accounts, data };
}

async function pay(version, from, to, amount) {
  const { value: blockhash } = await rpc.getLatestBlockhash({ commitment }).send();
  const message = pipe(
    createTransactionMessage({ version }),
    (m) => setTransactionMessageFeePayerSigner(from, m),
    (m) => setTransactionMessageLifetimeUsingBlockhash(blockhash, m),
    (m) => setTransactionMessageComputeUnitLimit(10_000, m),
    (m) => appendTransactionMessageInstruction(transfer(from, to, amount), m),
  );
  const transaction = await signTransactionMessageWithSigners(message);
  assertIsTransactionWithBlockhashLifetime(transaction);
  await sendAndConfirmTransactionFactory({ rpc, rpcSubscriptions })(transaction, { commitment });
  return getSignatureFromTransaction(transaction);
}

const payer = await generateKeyPairSigner();
const to = (await generateKeyPairSigner()).address;
await airdropFactory({ rpc, rpcSubscriptions })({
  commitment,
  recipientAddress: payer.address,
  lamports: lamports(5_000_000_000n),
});
const versions = [];
for (const version of ['legacy', 0, 1]) {
  const signature = await pay(version, payer, to, 1_000_000_000n);
  const found = await rpc
    .getTransaction(signature, { commitment, encoding: 'json', maxSupportedTransactionVersion: 1 })
    .send();
  versions.push(found.version);
}
const refused = await pay(0, payer, to, 1_000_000_000_000n).then(
  () => 'landed',
  (error) => error.context.__code,
);
const { value: balance } = await rpc.getBalance(to, { commitment }).send();
const health = await rpc.getHealth().send();
console.log(JSON.stringify({ balance: Number(balance), versions, refused, health }));
process.exit(0);
