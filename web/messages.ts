import type { Message } from './i18n/text.ts';

/**
 * Every text of the page in every language. `{name}` is a value. Texts with `one` and `other` are chosen by `{count}`.
 * A new language is added to `languages` in i18n/text.ts; TypeScript then names each missing text.
 */
export const messages = {
  // The frame of each page.
  'nav.label': { en: 'Team settings', de: 'Team-Einstellungen' },
  'nav.skip': { en: 'Skip to the contents', de: 'Zum Inhalt springen' },
  'nav.billing': { en: 'Billing', de: 'Abrechnung' },
  'nav.usage': { en: 'Usage', de: 'Nutzung' },
  'teams.label': { en: 'Teams', de: 'Teams' },
  'teams.switch': { en: '{name}: switch team', de: '{name}: Team wechseln' },
  'teams.personal': { en: 'Personal', de: 'Persönlich' },
  'teams.none': { en: 'You are in no team', de: 'Sie sind in keinem Team' },
  'teams.noneText': {
    en: 'Accept an invitation to a team, or ask its owner for one.',
    de: 'Nehmen Sie eine Einladung in ein Team an, oder bitten Sie seinen Inhaber darum.',
  },
  'teams.failed': { en: 'Your teams could not be loaded', de: 'Ihre Teams konnten nicht geladen werden' },
  'role.owner': { en: 'Owner', de: 'Inhaber' },
  'role.admin': { en: 'Admin', de: 'Administrator' },
  'role.billing': { en: 'Billing manager', de: 'Abrechnung' },
  'role.member': { en: 'Member', de: 'Mitglied' },
  'preferences.label': { en: 'Language and appearance', de: 'Sprache und Darstellung' },
  'preferences.language': { en: 'Language', de: 'Sprache' },
  'preferences.theme': { en: 'Appearance', de: 'Darstellung' },
  'theme.system': { en: 'As the system', de: 'Wie das System' },
  'theme.light': { en: 'Light', de: 'Hell' },
  'theme.dark': { en: 'Dark', de: 'Dunkel' },
  'signedOut.title': { en: 'You are signed out', de: 'Sie sind abgemeldet' },
  'signedOut.text': {
    en: 'A session lasts up to an hour. Sign in again to see billing and usage.',
    de: 'Eine Sitzung dauert höchstens eine Stunde. Melden Sie sich wieder an, um Abrechnung und Nutzung zu sehen.',
  },
  'signedOut.signIn': { en: 'Sign in', de: 'Anmelden' },
  'notFound.title': { en: 'This page does not exist', de: 'Diese Seite gibt es nicht' },
  'notFound.text': {
    en: 'The address is wrong, or you are no longer in this team.',
    de: 'Die Adresse ist falsch, oder Sie sind nicht mehr in diesem Team.',
  },
  'notFound.home': { en: 'To my teams', de: 'Zu meinen Teams' },

  // States of each card.
  'state.loading': { en: 'Loading', de: 'Wird geladen' },
  'state.tryAgain': { en: 'Try again', de: 'Erneut versuchen' },
  'state.requestId': { en: 'Request {id}', de: 'Anfrage {id}' },
  'state.offline': {
    en: 'You are offline. Check your connection, then try again.',
    de: 'Sie sind offline. Prüfen Sie Ihre Verbindung und versuchen Sie es erneut.',
  },
  'state.unreachable': {
    en: 'The billing service did not answer. Try again in a minute.',
    de: 'Der Abrechnungsdienst hat nicht geantwortet. Versuchen Sie es in einer Minute erneut.',
  },
  'state.busy': {
    en: 'The billing service is busy. Try again in a moment.',
    de: 'Der Abrechnungsdienst ist ausgelastet. Versuchen Sie es gleich erneut.',
  },
  'state.signedOut': {
    en: 'Your session has ended. Reload the page and sign in again.',
    de: 'Ihre Sitzung ist abgelaufen. Laden Sie die Seite neu und melden Sie sich wieder an.',
  },
  'state.forbidden': { en: 'Your role may not do this.', de: 'Ihre Rolle darf das nicht.' },
  'state.paymentFailed': {
    en: 'The payment was declined. Nothing has changed. Check the card in Manage billing.',
    de: 'Die Zahlung wurde abgelehnt. Es hat sich nichts geändert. Prüfen Sie die Karte unter „Zahlungen verwalten“.',
  },
  'state.close': { en: 'Close', de: 'Schließen' },
  'state.cancel': { en: 'Cancel', de: 'Abbrechen' },
  'state.save': { en: 'Save', de: 'Speichern' },
  'state.saved': { en: 'Saved', de: 'Gespeichert' },
  'state.more': { en: 'Show more', de: 'Mehr anzeigen' },

  // Billing: the balance.
  'balance.title': { en: 'Balance', de: 'Guthaben' },
  'balance.available': { en: 'credits available', de: 'Credits verfügbar' },

  // Usage.
  'usage.soon': { en: 'Usage appears here.', de: 'Hier erscheint die Nutzung.' },
  'usage.run': { en: 'Run {runId}', de: 'Lauf {runId}' },
} as const satisfies Record<string, Message>;
