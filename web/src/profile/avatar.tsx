import type { Schema } from '../server/rest'

/** A user's picture, else the first letter of the name. Beside the name: it says nothing more. */
export function Avatar({
  of,
  large = false,
}: {
  of: Pick<Schema<'ProfileBody'>, 'username' | 'avatar'>
  large?: boolean
}) {
  const classes = large ? 'avatar large' : 'avatar'
  const size = large ? 96 : 40
  if (of.avatar !== null)
    return <img className={classes} src={`/content/${of.avatar}`} alt="" width={size} height={size} />
  return (
    <span className={classes} aria-hidden="true">
      {of.username[0]?.toUpperCase()}
    </span>
  )
}
