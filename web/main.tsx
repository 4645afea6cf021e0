import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import { applyTheme, storedTheme } from './layout/theme.ts';

const element = document.getElementById('page');
if (!element) throw new Error('index.html must have an element with the id "page"');
applyTheme(storedTheme());
createRoot(element).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
