import { plain, rest, type Schema } from '../server/rest'
import { begun } from './session'

/** Browsers know passkeys by a domain: at an address of numbers there are none. */
export function passkeysWork(): boolean {
  const named = !/^[\d.]+$|^\[/.test(location.hostname)
  return (
    named &&
    typeof PublicKeyCredential !== 'undefined' &&
    'parseCreationOptionsFromJSON' in PublicKeyCredential
  )
}

export async function logInByPasskey(): Promise<void> {
  const { publicKey } = await plain('/auth/passkeys/login/options')
  const options = PublicKeyCredential.parseRequestOptionsFromJSON(
    publicKey as unknown as PublicKeyCredentialRequestOptionsJSON,
  )
  const credential = await navigator.credentials.get({ publicKey: options })
  await begun(await plain('/auth/passkeys/login/verify', { credential: jsonOf(credential) }))
}

export async function addPasskey(name: string, proof: Schema<'Proof'>): Promise<void> {
  const { publicKey } = await rest('post', '/auth/passkeys/register/options', { body: proof })
  const options = PublicKeyCredential.parseCreationOptionsFromJSON(
    publicKey as unknown as PublicKeyCredentialCreationOptionsJSON,
  )
  const credential = jsonOf(await navigator.credentials.create({ publicKey: options }))
  await rest('post', '/auth/passkeys/register/verify', { body: { credential, name } })
}

function jsonOf(credential: Credential | null): Schema<'Credential'> {
  if (!(credential instanceof PublicKeyCredential)) throw new DOMException('no credential', 'NotAllowedError')
  return credential.toJSON() as Schema<'Credential'>
}
