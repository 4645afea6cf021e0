import { Children, Component, type ReactNode } from 'react';
import { Failed } from './failed.tsx';

/** If its contents throw while they are rendered, it says so in their place. What is around it stays. React logs the error. */
export class FaultBoundary extends Component<
  { children: ReactNode },
  { error?: unknown; hasFailed: boolean }
> {
  static getDerivedStateFromError(error: unknown) {
    return { error, hasFailed: true };
  }

  override state: { error?: unknown; hasFailed: boolean } = { hasFailed: false };

  override render() {
    const { hasFailed, error } = this.state;
    if (!hasFailed) return this.props.children;
    return <Failed error={error} retry={() => this.setState({ hasFailed: false })} />;
  }
}

/** Each child with its own boundary, so that a fault in one card leaves the others. */
export function EachAlone({ children }: { children: ReactNode }) {
  return Children.map(children, (child) => child && <FaultBoundary>{child}</FaultBoundary>);
}
