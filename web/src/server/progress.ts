/** As `fetch` would answer; what was sent is told meanwhile, which `fetch` can't. */
export interface SentAnswer {
  ok: boolean
  status: number
  statusText: string
  text: () => Promise<string>
}

const UPLOAD_WITHIN_MS = 120_000

/** `progress` gets what part of the body was sent, 0 to 1. Rejects where there is no answer. */
export function sendWithProgress(
  method: string,
  address: string,
  headers: Record<string, string>,
  content: Blob,
  progress: (part: number) => void,
): Promise<SentAnswer> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open(method, address)
    request.timeout = UPLOAD_WITHIN_MS
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value)
    request.upload.onprogress = ({ loaded, total }) => progress(total > 0 ? loaded / total : 0)
    request.onload = () => {
      const { status, statusText, responseText } = request
      resolve({ ok: status >= 200 && status < 300, status, statusText, text: async () => responseText })
    }
    request.onerror = () => reject(new TypeError('the upload failed'))
    request.ontimeout = () => reject(new TypeError('the upload took too long'))
    request.send(content)
  })
}
