import type { ReactNode } from 'react'
import { text } from '../text/text'

interface Props {
  title: string
  heads: readonly string[]
  /** Undefined: they could not be read. The first cell names its row. */
  rows: readonly { key: string; cells: readonly ReactNode[] }[] | undefined
  empty: string
}

/** Figures in columns; on a narrow screen each row becomes a block with the heads beside its figures. */
export function Table({ title, heads, rows, empty }: Props) {
  return (
    <section className="panel operation-section">
      <h2>{title}</h2>
      {rows === undefined && <p className="fault">{text.operation.notRead}</p>}
      {rows?.length === 0 && <p className="muted">{empty}</p>}
      {rows !== undefined && rows.length > 0 && (
        <table className="figures" aria-label={title}>
          <thead>
            <tr>
              {heads.map((head) => (
                <th key={head} scope="col">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(({ key, cells: [name, ...figures] }) => (
              <tr key={key}>
                <th scope="row">{name}</th>
                {figures.map((figure, index) => (
                  <td key={heads[index + 1]} data-head={heads[index + 1]}>
                    {figure}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}
