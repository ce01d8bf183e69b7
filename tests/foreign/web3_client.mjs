// @solana/web3.js 1.x against the local chain: node web3_client.mjs URL USDC_MINT. Prints one JSON object.
import {
  Connection,
  Keypair,
  LAMPORTS_PER_SOL,
  PublicKey,
  SystemProgram,
  Transaction,
  sendAndConfirmTransaction,
} from '@solana/web3.js';

const [url, mint] = process.argv.slice(2);
const connection = new Connection(url, 'confirmed');
const payer = Keypair.generate();
const to = Keypair.generate().publicKey;

async function confirmed(signature) {
  const latest = await connection.getLatestBlockhash();
  const { value } = await connection.confirmTransaction({ signature, ...latest });
  if (value.err) throw new Error(JSON.stringify(value.err));
}

await confirmed(await connection.requestAirdrop(payer.publicKey, 5 * LAMPORTS_PER_SOL));
let change;
const changed = new Promise((resolve) => {
  change = connection.onAccountChange(to, (account) => resolve(account.lamports), { commitment: 'confirmed' });
});
// The subscription has to stand before the payment.
while (!connection._rpcWebSocketConnected) await new Promise((resolve) => setTimeout(resolve, 10));
const instruction = SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: to, lamports: LAMPORTS_PER_SOL });
const signature = await sendAndConfirmTransaction(connection, new Transaction().add(instruction), [payer]);
const told = await changed;
await connection.removeAccountChangeListener(change);
const parsed = await connection.getParsedTransaction(signature, { maxSupportedTransactionVersion: 0 });
const history = await connection.getSignaturesForAddress(to);

const { result: usdc } = await connection._rpcRequest('ece_airdropUsdc', [to.toBase58(), 2_500_000]);
await confirmed(usdc);
const tokens = await connection.getParsedTokenAccountsByOwner(to, { mint: new PublicKey(mint) });
const supply = await connection.getTokenSupply(new PublicKey(mint));
console.log(
  JSON.stringify({
    balance: await connection.getBalance(to),
    told,
    fee: parsed.meta.fee,
    inHistory: history.map((one) => one.signature).includes(signature),
    usdc: tokens.value[0].account.data.parsed.info.tokenAmount.uiAmountString,
    supply: supply.value.amount,
    version: (await connection.getVersion())['solana-core'],
    slot: (await connection.getSlot()) > 0,
    epoch: (await connection.getEpochInfo()).slotsInEpoch,
  }),
);
process.exit(0);
