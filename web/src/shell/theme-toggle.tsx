import { text } from '../text/text'
import { chooseTheme, useTheme } from './theme'

export function ThemeToggle() {
  const theme = useTheme()
  const other = theme === 'dark' ? 'light' : 'dark'
  const label = other === 'dark' ? text.shell.themeDark : text.shell.themeLight
  return (
    <button
      className="button icon"
      type="button"
      onClick={() => chooseTheme(other)}
      aria-label={label}
      title={label}
    >
      <svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">
        {theme === 'dark' ? (
          <path
            d="M12 4V2m0 20v-2M4 12H2m20 0h-2M6.300 6.300 4.900 4.900m14.200 14.200-1.400-1.400M6.300 17.700l-1.400 1.400M19.100 4.900l-1.400 1.400M16 12a4 4 0 1 1-8 0 4 4 0 0 1 8 0Z"
            className="stroke"
          />
        ) : (
          <path
            d="M20 14.500A8.500 8.500 0 0 1 9.500 4a8.500 8.500 0 1 0 10.500 10.500Z"
            className="stroke"
          />
        )}
      </svg>
    </button>
  )
}
