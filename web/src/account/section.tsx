import type { ReactNode } from 'react'

/** A part of an account screen: a heading, what it is for, and what one can do. */
export function Section({ title, about, children }: { title: string; about?: string; children: ReactNode }) {
  return (
    <section className="panel account-section">
      <div>
        <h2>{title}</h2>
        {about && <p className="muted small">{about}</p>}
      </div>
      {children}
    </section>
  )
}
